# Drawn from aggregate.csv, published.csv and steps.csv; `gnuplot curves.gp` in this folder writes curves.svg.
set terminal svg size 838,606 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'curves.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
x_min = -0.195
x_max = 13.195
set xrange [x_min:x_max]
set lmargin at screen 0.08592
set rmargin at screen 0.68258
set multiplot
set label 1 'Understanding BYOL, width 16: k-NN on CIFAR-10' at screen 0.08592,0.96370 left font 'Helvetica,17'

set tmargin at screen 0.86799
set bmargin at screen 0.52145
set label 2 'k = 1, 5-fold inside test, first 9984 images (monitored)' at graph 0, screen 0.89769 left
set label 3 'k-NN accuracy (%)' at screen 0.01909, graph 0.5 center rotate by 90
set format x ''
set offsets 0, 0, graph 0.06, graph 0.06
set yrange [0<*:*<100]
plot 'aggregate.csv' using (strcol(1) eq 'crossed' && strcol(2) eq 'knn/k1_cv/test' ? $3 : NaN):5 with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 notitle, \
     'aggregate.csv' using (strcol(1) eq 'same_view' && strcol(2) eq 'knn/k1_cv/test' ? $3 : NaN):5 with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.6 notitle, \
     'published.csv' using (strcol(1) eq 'crossed' && strcol(2) eq 'knn/k1_cv/test' ? $6 == 1 ? $3 : NaN : NaN):4 with points lc rgb '#0072B2' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'same_view' && strcol(2) eq 'knn/k1_cv/test' ? $6 == 1 ? $3 : NaN : NaN):4 with points lc rgb '#D55E00' lw 1.5 pt 12 ps 1.1 notitle
unset label 1

set tmargin at screen 0.44554
set bmargin at screen 0.09901
set label 2 'std of the projection, relative to step 0' at graph 0, screen 0.47525 left
set label 3 'std ratio' at screen 0.01909, graph 0.5 center rotate by 90
set format x '%g'
set xtics offset 0,0.5
set label 4 'finished epochs' at graph 0.5, screen 0.02640 center
unset offsets
set yrange [0:1.05]
plot 'steps.csv' using (strcol(1) eq 'crossed' && strcol(2) eq '0' ? $4 : NaN):7 every 1 with lines lc rgb '#0072B2' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'same_view' && strcol(2) eq '0' ? $4 : NaN):7 every 1 with lines lc rgb '#D55E00' dt 1 lw 1.2 notitle
unset label 1

set tmargin at screen 0.90594
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.69928,0.90594 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 title 'crossed', \
     keyentry with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.6 title 'same_view', \
     keyentry with points lw 1.5 pt 12 ps 1.1 lc rgb '#444444' title 'published, other set-up'
unset multiplot
