#pragma once
#include "DenseLoops.h"
#include "NormalEquations.h"
#include "Processor.h"
#include "SparseLoops.h"
#include "TopKSelection.h"
