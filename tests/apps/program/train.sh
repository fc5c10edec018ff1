#!/bin/sh
# train.sh <lr> <width> <act> <seed> <folder>: as people wrap a script.
echo "training with lr $1"
python code/fit.py --lr "$1" --width "$2" --act "$3" --seed "$4" --out "$5"
echo "done"
