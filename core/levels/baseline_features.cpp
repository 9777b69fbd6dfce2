#define SIGMAX_PART features
#define SIGMAX_FEATURES
#include "levels/baseline.hpp"
