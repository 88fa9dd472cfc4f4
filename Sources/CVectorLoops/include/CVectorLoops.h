#pragma once
#include "DelimitedText.h"
#include "IdentifierTable.h"
#include "SparseOrder.h"
