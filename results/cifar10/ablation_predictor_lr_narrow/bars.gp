# Drawn from aggregate.csv and published.csv; `gnuplot bars.gp` in this folder writes bars.svg.
set terminal svg size 870,344 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'bars.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.11954
set rmargin at screen 0.69425
set multiplot
set label 1 'A faster predictor instead of a moving average, width 16' at screen 0.11954,0.93605 left font 'Helvetica,17'
unset grid
set grid x lt 1 lc rgb '#e4e4e4' lw 1
set bars 0.7
set xtics offset 0,0.5

set tmargin at screen 0.76744
set bmargin at screen 0.41860
set label 2 'k = 20, T = 0.1, train to test, epoch 3' at graph 0, screen 0.81977 left
set label 4 'k-NN accuracy (%)' at graph 0.5, screen 0.29070 center
set xrange [0:80.5556]
set yrange [4.5:0.5]
set ytics ('ema' 1, 'online_x1' 2, 'online_x2' 3, 'online_x10' 4)
set label 101 '34.1' at 37.012,1 left offset 0.6,0
set label 201 'healthy' at screen 0.71034, first 1 left
set label 102 '32.5' at 34.5449,2 left offset 0.6,0
set label 202 'healthy' at screen 0.71034, first 2 left
set label 103 '33.2' at 33.6,3 left offset 0.6,0
set label 203 'healthy' at screen 0.71034, first 3 left
set label 104 '33.7' at 34.0936,4 left offset 0.6,0
set label 204 'healthy' at screen 0.71034, first 4 left
plot 'aggregate.csv' using (strcol(1) eq 'ema' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(1):(0):5:(1 - 0.32):(1 + 0.32) with boxxyerror lc rgb '#0072B2' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'ema' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(1):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_x1' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(2):(0):5:(2 - 0.32):(2 + 0.32) with boxxyerror lc rgb '#D55E00' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_x1' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(2):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_x2' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(3):(0):5:(3 - 0.32):(3 + 0.32) with boxxyerror lc rgb '#009E73' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_x2' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(3):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_x10' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(4):(0):5:(4 - 0.32):(4 + 0.32) with boxxyerror lc rgb '#CC79A7' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_x10' && strcol(2) eq 'knn/k20/test' ? $3 == 3 ? $5 : NaN : NaN):(4):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'published.csv' using (strcol(1) eq 'ema' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 3 && abs($5 - 72.5) < 1e-9 ? $5 : NaN : NaN):(1) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online_x1' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 3 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN):(2):($6 - $5):(0) with vectors nohead lc rgb '#000000' lw 1.5 notitle, \
     'published.csv' using (strcol(1) eq 'online_x1' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 3 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN):(2) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online_x1' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 3 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN) + $6 - $5:(2) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online_x2' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 3 && abs($5 - 62.799999999999997) < 1e-9 ? $5 : NaN : NaN):(3) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online_x10' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 3 && abs($5 - 66.599999999999994) < 1e-9 ? $5 : NaN : NaN):(4) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle
unset label

set tmargin at screen 0.24419
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.11954,0.24419 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with xerrorbars lw 1.5 pt 7 ps 0.01 lc rgb '#000000' title '95 % interval, seeds', \
     keyentry with points lw 1.5 pt 12 ps 1.1 lc rgb '#000000' title 'published, other set-up'
unset multiplot
