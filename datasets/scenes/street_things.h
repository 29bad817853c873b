// street_things.h - what stands and moves in a drawn street: each at (x, z), colours and sizes drawn from the street's stream.

#ifndef BL_DATASETS_STREET_THINGS_H
#define BL_DATASETS_STREET_THINGS_H

#include "datasets/scenes/street.h"

void bl_street_tree(bl_street *street, double x, double z);
void bl_street_person(bl_street *street, double x, double z);
void bl_street_cyclist(bl_street *street, double x, double z);
void bl_street_lamp(bl_street *street, double x, double z);
void bl_street_sign(bl_street *street, double x, double z);
void bl_street_traffic_light(bl_street *street, double x, double z);
void bl_street_bin(bl_street *street, double x, double z); // of no class
void bl_street_car(bl_street *street, double x, double z);
void bl_street_truck(bl_street *street, double x, double z);
void bl_street_bus(bl_street *street, double x, double z);

#endif
