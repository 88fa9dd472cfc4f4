#pragma once
#include "NormalEquations.h"
