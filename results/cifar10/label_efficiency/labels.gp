# Drawn from labels.csv and published.csv; `gnuplot labels.gp` in this folder writes labels.svg.
set terminal svg size 814,622 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'labels.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.08845
set rmargin at screen 0.70270
set multiplot
set label 1 'Label efficiency on CIFAR-10, width 16' at screen 0.08845,0.96463 left font 'Helvetica,17'
set logscale x
set xrange [0.877058:114.018]
set offsets 0, 0, graph 0.06, graph 0.06

set tmargin at screen 0.87138
set bmargin at screen 0.53376
set label 2 'fine-tuning, test' at graph 0, screen 0.90032 left
set label 3 'accuracy (%)' at screen 0.01966, graph 0.5 center rotate by 90
set xtics ("" 1, "" 5, "" 10, "" 25, "" 100) offset 0,0.5
set yrange [0<*:*<100]
plot 'labels.csv' using (strcol(1) eq 'finetune/pretrained/test' && strcol(4) eq 'main' ? $5 * 0.966501 : NaN):($10 < 0 ? 0 : $10):(0):(($11 > 100 ? 100 : $11) - ($10 < 0 ? 0 : $10)) with vectors heads size screen 0.006,90 lc rgb '#0072B2' lw 1.5 notitle, \
     'labels.csv' using (strcol(1) eq 'finetune/random/test' && strcol(4) eq 'main' ? $5 * 1.03466 : NaN):($10 < 0 ? 0 : $10):(0):(($11 > 100 ? 100 : $11) - ($10 < 0 ? 0 : $10)) with vectors heads size screen 0.006,90 lc rgb '#D55E00' lw 1.5 notitle, \
     'labels.csv' using (strcol(1) eq 'finetune/pretrained/test' && strcol(4) eq 'main' ? $5 * 0.966501 : NaN):8 with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.5 notitle, \
     'labels.csv' using (strcol(1) eq 'finetune/random/test' && strcol(4) eq 'main' ? $5 * 1.03466 : NaN):8 with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.5 notitle
unset label 1

set tmargin at screen 0.45981
set bmargin at screen 0.12219
set label 2 'linear evaluation, test' at graph 0, screen 0.48875 left
set label 3 'accuracy (%)' at screen 0.01966, graph 0.5 center rotate by 90
set xtics ("1 %%\n500" 1, "5 %%\n2500" 5, "10 %%\n5000" 10, "25 %%\n12500" 25, "100 %%\n50000" 100) offset 0,0.5
set label 4 'labels: share of the train split, and images' at graph 0.5, screen 0.02572 center
set yrange [0<*:*<100]
plot 'labels.csv' using (strcol(1) eq 'linear/test' && strcol(4) eq 'main' ? $5 * 1 : NaN):($10 < 0 ? 0 : $10):(0):(($11 > 100 ? 100 : $11) - ($10 < 0 ? 0 : $10)) with vectors heads size screen 0.006,90 lc rgb '#0072B2' lw 1.5 notitle, \
     'labels.csv' using (strcol(1) eq 'linear/test' && strcol(4) eq 'main' ? $5 * 1 : NaN):8 with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.5 notitle
unset label 1

set tmargin at screen 0.90836
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.71990,0.90836 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 title 'pretrained', \
     keyentry with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.6 title 'random', \
     keyentry with yerrorbars lw 1.5 pt 7 ps 0.01 lc rgb '#444444' title '95 % interval, seeds'
unset multiplot
