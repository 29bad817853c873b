# Drawn from aggregate.csv and published.csv; `gnuplot bars.gp` in this folder writes bars.svg.
set terminal svg size 1022,404 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'bars.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.25049
set rmargin at screen 0.73973
set multiplot
set label 1 'What keeps BYOL from collapsing: 20 epochs' at screen 0.25049,0.94554 left font 'Helvetica,17'
unset grid
set grid x lt 1 lc rgb '#e4e4e4' lw 1
set bars 0.7
set xtics offset 0,0.5

set tmargin at screen 0.80198
set bmargin at screen 0.35644
set label 2 'k = 20, T = 0.1, train to test (monitored), epoch 20' at graph 0, screen 0.84653 left
set label 4 'k-NN accuracy (%)' at graph 0.5, screen 0.24752 center
set xrange [0:80.5556]
set yrange [6.5:0.5]
set ytics ('ema' 1, 'ema_no_predictor' 2, 'online' 3, 'online_no_predictor' 4, 'no_stop_gradient' 5, 'no_stop_gradient_no_predictor' 6)
set label 101 '45.7' at 53.1094,1 left offset 0.6,0
set label 201 'healthy' at screen 0.75342, first 1 left
set label 102 '23.8' at 26.0419,2 left offset 0.6,0
set label 202 'collapsed' at screen 0.75342, first 2 left
set label 103 '39.0' at 42.5255,3 left offset 0.6,0
set label 203 'healthy' at screen 0.75342, first 3 left
set label 104 '23.4' at 27.9493,4 left offset 0.6,0
set label 204 'collapsed' at screen 0.75342, first 4 left
set label 105 '21.7' at 23.1034,5 left offset 0.6,0
set label 205 'collapsed' at screen 0.75342, first 5 left
set label 106 '23.3' at 27.8815,6 left offset 0.6,0
set label 206 'collapsed' at screen 0.75342, first 6 left
plot 'aggregate.csv' using (strcol(1) eq 'ema' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(1):(0):5:(1 - 0.32):(1 + 0.32) with boxxyerror lc rgb '#0072B2' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'ema' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(1):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'ema_no_predictor' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(2):(0):5:(2 - 0.32):(2 + 0.32) with boxxyerror lc rgb '#D55E00' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'ema_no_predictor' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(2):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'online' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(3):(0):5:(3 - 0.32):(3 + 0.32) with boxxyerror lc rgb '#009E73' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'online' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(3):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_no_predictor' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(4):(0):5:(4 - 0.32):(4 + 0.32) with boxxyerror lc rgb '#CC79A7' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'online_no_predictor' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(4):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(5):(0):5:(5 - 0.32):(5 + 0.32) with boxxyerror lc rgb '#E69F00' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(5):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient_no_predictor' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(6):(0):5:(6 - 0.32):(6 + 0.32) with boxxyerror lc rgb '#56B4E9' fs solid 0.75 noborder notitle, \
     'aggregate.csv' using (strcol(1) eq 'no_stop_gradient_no_predictor' && strcol(2) eq 'knn/k20/test' ? $3 == 20 ? $5 : NaN : NaN):(6):($7 < 0 ? 0 : $7):($8 > 100 ? 100 : $8) with xerrorbars lc rgb '#000000' lw 1.5 pt 7 ps 0.01 notitle, \
     'published.csv' using (strcol(1) eq 'ema' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 72.5) < 1e-9 ? $5 : NaN : NaN):(1) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'ema_no_predictor' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.20000000000000001) < 1e-9 ? $5 : NaN : NaN):(2) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN):(3):($6 - $5):(0) with vectors nohead lc rgb '#000000' lw 1.5 notitle, \
     'published.csv' using (strcol(1) eq 'online' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN):(3) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN) + $6 - $5:(3) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 67.700000000000003) < 1e-9 ? $5 : NaN : NaN):(3) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online_no_predictor' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.10000000000000001) < 1e-9 ? $5 : NaN : NaN):(4) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'online_no_predictor' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.10000000000000001) < 1e-9 ? $5 : NaN : NaN):(4) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.29999999999999999) < 1e-9 ? $5 : NaN : NaN):(5) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'no_stop_gradient' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.10000000000000001) < 1e-9 ? $5 : NaN : NaN):(5) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle, \
     'published.csv' using (strcol(1) eq 'no_stop_gradient_no_predictor' && strcol(2) eq 'knn/k20/test' ? $11 == 1 && $3 == 20 && abs($5 - 0.10000000000000001) < 1e-9 ? $5 : NaN : NaN):(6) with points lc rgb '#000000' lw 1.5 pt 12 ps 1.1 notitle
unset label

set tmargin at screen 0.20792
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.25049,0.20792 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with xerrorbars lw 1.5 pt 7 ps 0.01 lc rgb '#000000' title '95 % interval, seeds', \
     keyentry with points lw 1.5 pt 12 ps 1.1 lc rgb '#000000' title 'published, other set-up'
unset multiplot
