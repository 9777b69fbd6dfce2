// One CPU level: all headers in order, and the tables of loops derived from the lists of functions. Included once for each level and
// part, inside the level's namespace and target region, hence no include guard.
#include "lanes/pack.hpp"
#if defined(SIGMAX_FEATURES)
#include "lanes/two_term.hpp"
#include "lanes/halves.hpp"
#include "memory/runs.hpp"
#include "memory/tiles.hpp"
#include "features/sums.hpp"
extern const FeatureLoops features;
const FeatureLoops features = {feature_scores, feature_sums, feature_moments, feature_losses, feature_bent};
#else
#include "lanes/two_term.hpp"
#include "lanes/halves.hpp"
#include "math/exp.hpp"
#include "math/log.hpp"
#include "memory/runs.hpp"
#if defined(SIGMAX_LINKS)
#include "math/rounding.hpp"
#include "links/formulas.hpp"
#include "links/loops.hpp"

template <class... F>
constexpr auto link_table(std::tuple<F...>) {
    return std::array<Link, sizeof...(F)>{Link{F::name, inputs_of<F>, results_of<F>, link_loop<F>}...};
}
static constexpr auto link_list = link_table(Links{});
SIGMAX_TABLE(Link, links, link_list)
#else
#include "memory/tiles.hpp"
#include "memory/in_registers.hpp"
#include "memory/room.hpp"
#include "memory/windows.hpp"
#include "rows/walk.hpp"
#include "rows/softmax.hpp"
#include "rows/columns.hpp"
#include "rows/logsumexp.hpp"
#include "rows/log_softmax.hpp"
#include "rows/contest.hpp"
#include "rows/cross_entropy.hpp"
#include "rows/pullbacks.hpp"
#include "rows/in_doubles.hpp"
#include "rows/limits.hpp"
#include "rows/functions.hpp"
#include "rows/loops.hpp"

template <class... F>
constexpr auto row_table(std::tuple<F...>) {
    return std::array<RowFunction, sizeof...(F)>{RowFunction{F::name, F::weighted, F::labelled, F::tempered, F::smoothed, F::results,
                                                             F::per_class, loop_on_float<F>(), row_loop<F, double>}...};
}
#if defined(SIGMAX_ROWS)
static constexpr auto row_list = row_table(RowFunctions{});
SIGMAX_TABLE(RowFunction, rows, row_list)
#else
#include "rows/labels.hpp"
static constexpr auto row_list = row_table(MoreRowFunctions{});
SIGMAX_TABLE(RowFunction, more_rows, row_list)
#endif
#endif
#endif
#undef SIGMAX_BLOCK
