# Drawn from the CSV files beside it; `gnuplot curves.gp` in this folder writes curves.svg.
set terminal svg size 908,862 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'curves.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.08590
set rmargin at screen 0.63656
set multiplot
set label 1 'Understanding BYOL, on two cores: k-NN on CIFAR-10' at screen 0.08590,0.97448 left font 'Helvetica,17'
set datafile missing NaN
x_min = -0.165
x_max = 11.165
set xrange [x_min:x_max]
set xtics 1

set tmargin at screen 0.90719
set bmargin at screen 0.66357
set label 2 'k = 1, 5-fold inside test, first 9984 images (monitored)' at graph 0, screen 0.92807 left
set label 3 'k-NN accuracy (%)' at screen 0.01762, graph 0.5 center rotate by 90
set format x ''
set offsets 0, 0, graph 0.06, graph 0.06
set yrange [0<*:*<100]
plot 'measurements.csv' using (strcol(2) eq 'crossed' && strcol(3) eq '0' && strcol(6) eq 'knn/k1_cv/test' && strcol(7) eq 'e3e3776b17385d0e' ? $8 : NaN):9 with linespoints lc rgb '#0072B2' lw 1.2 dt (7,4) pt 7 ps 0.35 notitle, \
     'published.csv' using (strcol(1) eq 'crossed' && strcol(2) eq 'knn/k1_cv/test' ? $11 == 0 ? $3 : NaN : NaN):5 with points lc rgb '#0072B2' lw 1.5 pt 6 ps 1 notitle
unset label 1

set tmargin at screen 0.61021
set bmargin at screen 0.36659
set label 2 'std of the projection, relative to step 0' at graph 0, screen 0.63109 left
set label 3 'std ratio' at screen 0.01762, graph 0.5 center rotate by 90
set format x ''
unset offsets
unset logscale y
set ytics autofreq
set yrange [0:1.05]
plot 'steps.csv' using (strcol(1) eq 'crossed' && strcol(2) eq '0' ? $4 : NaN):7 every 1 with lines lc rgb '#0072B2' lw 1.2 dt (7,4) notitle
unset label 1

set tmargin at screen 0.31323
set bmargin at screen 0.06961
set label 2 'effective rank of the projection (centred)' at graph 0, screen 0.33411 left
set label 3 'rank' at screen 0.01762, graph 0.5 center rotate by 90
set format x '%g'
set xtics offset 0,0.5
set label 4 'finished epochs' at graph 0.5, screen 0.01856 center
unset offsets
set logscale y
set yrange [0.97208:16.2338]
set ytics (1, 2, 5, 10)
plot 'collapse.csv' using (strcol(1) eq 'crossed' && strcol(2) eq '0' ? $4 : NaN):9 every 1 with linespoints lc rgb '#0072B2' lw 1.2 dt (7,4) pt 7 ps 0.35 notitle
unset label 1

set tmargin at screen 0.93387
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.65198,0.93387 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with linespoints lc rgb '#0072B2' lw 1.2 dt (7,4) pt 7 ps 0.35 title 'crossed (unfinished, step 2044)', \
     keyentry with points lw 1.5 pt 6 ps 1 lc rgb '#444444' title 'published'
unset multiplot
