# Drawn from the CSV files beside it; `gnuplot curves.gp` in this folder writes curves.svg.
set terminal svg size 912,606 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'curves.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.08553
set rmargin at screen 0.63377
set multiplot
set label 1 'Pilot of label efficiency on drawn streets' at screen 0.08553,0.96370 left font 'Helvetica,17'
set datafile missing NaN
x_min = -1.5
x_max = 101.5
set xrange [x_min:x_max]

set tmargin at screen 0.86799
set bmargin at screen 0.52145
set label 2 'std of the projection, relative to step 0' at graph 0, screen 0.89769 left
set label 3 'std ratio' at screen 0.01754, graph 0.5 center rotate by 90
set format x ''
unset offsets
unset logscale y
set ytics autofreq
set yrange [0:1.16606]
plot 'steps.csv' using (strcol(1) eq 'main' && strcol(2) eq '100' ? $4 : NaN):7 every 1 with lines lc rgb '#0072B2' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'main' && strcol(2) eq '101' ? $4 : NaN):7 every 1 with lines lc rgb '#0072B2' lw 1.2 dt (7,4) notitle
unset label 1

set tmargin at screen 0.44554
set bmargin at screen 0.09901
set label 2 'effective rank of the projection (centred)' at graph 0, screen 0.47525 left
set label 3 'rank' at screen 0.01754, graph 0.5 center rotate by 90
set format x '%g'
set xtics offset 0,0.5
set label 4 'finished epochs' at graph 0.5, screen 0.02640 center
unset offsets
set logscale y
set yrange [0.980816:36.0367]
set ytics (1, 2, 5, 10, 20)
plot 'collapse.csv' using (strcol(1) eq 'main' && strcol(2) eq '100' ? $4 : NaN):9 every 1 with linespoints lc rgb '#0072B2' dt 1 lw 1.2 pt 7 ps 0.35 notitle, \
     'collapse.csv' using (strcol(1) eq 'main' && strcol(2) eq '101' ? $4 : NaN):9 every 1 with linespoints lc rgb '#0072B2' lw 1.2 dt (7,4) pt 7 ps 0.35 notitle
unset label 1

set tmargin at screen 0.90594
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.64912,0.90594 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 title 'main', \
     keyentry with linespoints lc rgb '#0072B2' lw 1.2 dt (7,4) pt 7 ps 0.35 title 'main (unfinished, step 3100)'
unset multiplot
