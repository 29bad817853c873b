# Drawn from the CSV files beside it; `gnuplot curves.gp` in this folder writes curves.svg.
set terminal svg size 820,862 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'curves.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.09512
set rmargin at screen 0.70488
set multiplot
set label 1 'BYOL and its collapse on drawn shapes' at screen 0.09512,0.97448 left font 'Helvetica,17'
x_min = -0.12
x_max = 8.12
set xrange [x_min:x_max]
set xtics 1

set tmargin at screen 0.90719
set bmargin at screen 0.66357
set label 2 'k = 20, T = 0.1, train to test (monitored)' at graph 0, screen 0.92807 left
set label 3 'k-NN accuracy (%)' at screen 0.01951, graph 0.5 center rotate by 90
set format x ''
set offsets 0, 0, graph 0.06, graph 0.06
set yrange [0<*:*<100]
plot 'aggregate.csv' using (strcol(1) eq 'byol' && strcol(2) eq 'pixels/k20/test' ? x_min : NaN):5:(x_max - x_min):(0) with vectors nohead lc rgb '#444444' lw 1.5 dt 2 notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'pixels/k20/test' ? x_min : NaN):5:(x_max - x_min):(0) with vectors nohead lc rgb '#444444' lw 1.5 dt 2 notitle, \
     'aggregate.csv' using (strcol(1) eq 'byol' && strcol(2) eq 'knn/k20/test' ? $3 : NaN):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with filledcurves lc rgb '#0072B2' fs transparent solid 0.2 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'knn/k20/test' ? $3 : NaN):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with filledcurves lc rgb '#D55E00' fs transparent solid 0.2 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'byol' && strcol(2) eq 'knn/k20/test' ? $3 : NaN):5 with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'knn/k20/test' ? $3 : NaN):5 with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.6 notitle
unset label 1

set tmargin at screen 0.61021
set bmargin at screen 0.36659
set label 2 'std of the projection, relative to step 0' at graph 0, screen 0.63109 left
set label 3 'std ratio' at screen 0.01951, graph 0.5 center rotate by 90
set format x ''
unset offsets
set logscale y
set yrange [0.00412312:1.61476]
set ytics (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1)
plot 'steps.csv' using (strcol(1) eq 'byol' && strcol(2) eq '0' ? $4 : NaN):7 every 3 with lines lc rgb '#0072B2' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'byol' && strcol(2) eq '1' ? $4 : NaN):7 every 3 with lines lc rgb '#0072B2' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'byol' && strcol(2) eq '2' ? $4 : NaN):7 every 3 with lines lc rgb '#0072B2' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq '0' ? $4 : NaN):7 every 3 with lines lc rgb '#D55E00' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq '1' ? $4 : NaN):7 every 3 with lines lc rgb '#D55E00' dt 1 lw 1.2 notitle, \
     'steps.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq '2' ? $4 : NaN):7 every 3 with lines lc rgb '#D55E00' dt 1 lw 1.2 notitle
unset label 1

set tmargin at screen 0.31323
set bmargin at screen 0.06961
set label 2 'effective rank of the projection (centred)' at graph 0, screen 0.33411 left
set label 3 'rank' at screen 0.01951, graph 0.5 center rotate by 90
set format x '%g'
set xtics offset 0,0.5
set label 4 'finished epochs' at graph 0.5, screen 0.01856 center
unset offsets
set logscale y
set yrange [0.80026:21.3913]
set ytics (1, 2, 5, 10, 20)
plot 'collapse.csv' using (strcol(1) eq 'byol' && strcol(2) eq '0' ? $4 : NaN):9 every 1 with linespoints lc rgb '#0072B2' dt 1 lw 1.2 pt 7 ps 0.35 notitle, \
     'collapse.csv' using (strcol(1) eq 'byol' && strcol(2) eq '1' ? $4 : NaN):9 every 1 with linespoints lc rgb '#0072B2' dt 1 lw 1.2 pt 7 ps 0.35 notitle, \
     'collapse.csv' using (strcol(1) eq 'byol' && strcol(2) eq '2' ? $4 : NaN):9 every 1 with linespoints lc rgb '#0072B2' dt 1 lw 1.2 pt 7 ps 0.35 notitle, \
     'collapse.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq '0' ? $4 : NaN):9 every 1 with linespoints lc rgb '#D55E00' dt 1 lw 1.2 pt 7 ps 0.35 notitle, \
     'collapse.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq '1' ? $4 : NaN):9 every 1 with linespoints lc rgb '#D55E00' dt 1 lw 1.2 pt 7 ps 0.35 notitle, \
     'collapse.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq '2' ? $4 : NaN):9 every 1 with linespoints lc rgb '#D55E00' dt 1 lw 1.2 pt 7 ps 0.35 notitle
unset label 1

set tmargin at screen 0.93387
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.72195,0.93387 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 title 'byol', \
     keyentry with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.6 title 'no_stop_gradient', \
     keyentry with filledcurves fs transparent solid 0.2 noborder lc rgb '#444444' title '95 % interval, seeds', \
     keyentry with lines lw 1.5 dt 2 lc rgb '#444444' title 'raw pixels'
unset multiplot
