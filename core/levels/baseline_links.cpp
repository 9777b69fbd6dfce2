#define SIGMAX_PART links
#define SIGMAX_LINKS
#include "levels/baseline.hpp"
