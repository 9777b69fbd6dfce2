#define SIGMAX_PART links
#define SIGMAX_LINKS
#include "levels/v4.hpp"
