# Drawn from the CSV files beside it; `gnuplot labels.gp` in this folder writes labels.svg.
set terminal svg size 831,366 font 'Helvetica,15' noenhanced background '#ffffff'
if (!exists('to_stdout')) set output 'labels.svg'
set datafile separator comma
set datafile columnheaders
set border 3 lc rgb '#444444'
set tics nomirror out scale 0.5 textcolor rgb '#000000'
set format y '%g'
set grid lt 1 lc rgb '#e4e4e4' lw 1
unset key
set lmargin at screen 0.09386
set rmargin at screen 0.69555
set multiplot
set label 1 'Pilot of label efficiency on drawn streets' at screen 0.09386,0.93989 left font 'Helvetica,17'
set logscale x
set xrange [1.09632:114.018]
set offsets 0, 0, graph 0.06, graph 0.06

set tmargin at screen 0.78142
set bmargin at screen 0.20765
set label 2 'segmentation, val' at graph 0, screen 0.83060 left
set label 3 'mIoU (%)' at screen 0.01925, graph 0.5 center rotate by 90
set xtics ("1.25 %%\n2" 1.25, "5 %%\n8" 5, "25 %%\n40" 25, "100 %%\n160" 100) offset 0,0.5
set label 4 'labelled scenes: share of the train split, and scenes' at graph 0.5, screen 0.04372 center
set yrange [0<*:*<100]
plot 'labels.csv' using (strcol(1) eq 'segmentation/byol/val' && strcol(4) eq 'main' ? $5 * 0.907073 : NaN):8 with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.5 notitle, \
     'labels.csv' using (strcol(1) eq 'segmentation/random/val' && strcol(4) eq 'main' ? $5 * 0.968012 : NaN):8 with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.5 notitle, \
     'labels.csv' using (strcol(1) eq 'segmentation/random_300_updates/val' && strcol(4) eq 'main' ? $5 * 1.03304 : NaN):8 with linespoints lc rgb '#009E73' dt 1 lw 2 pt 7 ps 0.5 notitle, \
     'labels.csv' using (strcol(1) eq 'segmentation/random_3000_updates/val' && strcol(4) eq 'main' ? $5 * 1.10245 : NaN):8 with linespoints lc rgb '#CC79A7' dt 1 lw 2 pt 7 ps 0.5 notitle
unset label 1

set tmargin at screen 0.84426
set bmargin at screen 0
unset border
unset tics
unset grid
unset label
unset logscale
set key at screen 0.71239,0.84426 left top Left reverse samplen 2.2 spacing 1.25
plot [0:1] [0:1] NaN notitle, \
     keyentry with linespoints lc rgb '#0072B2' dt 1 lw 2 pt 7 ps 0.6 title 'byol', \
     keyentry with linespoints lc rgb '#D55E00' dt 1 lw 2 pt 7 ps 0.6 title 'random', \
     keyentry with linespoints lc rgb '#009E73' dt 1 lw 2 pt 7 ps 0.6 title 'random_300_updates', \
     keyentry with linespoints lc rgb '#CC79A7' dt 1 lw 2 pt 7 ps 0.6 title 'random_3000_updates'
unset multiplot
