// One CPU level: all headers in order, and the table of loops derived from the lists of functions.
// Included once per level by levels.cpp, hence no include guard.
#include "lanes.hpp"
#include "halves.hpp"
#include "runs.hpp"
#include "exp.hpp"
#include "log.hpp"
#include "precise.hpp"
#include "quick.hpp"
#include "links.hpp"
#include "rows.hpp"
#include "softmax.hpp"
#include "log_sums.hpp"
#include "log_rows.hpp"
#include "against.hpp"
#include "tiles.hpp"
#include "in_registers.hpp"
#include "columns.hpp"
#include "row_loops.hpp"

template <class... F>
constexpr auto link_table(std::tuple<F...>) {
    return std::array<Link, sizeof...(F)>{Link{F::name, inputs_of<F>, results_of<F>, link_loop<F>}...};
}
// Functions that always work the same are compiled once.
template <class F>
using OnFloat = std::conditional_t<F::same_for_all, double, float>;
template <class... F>
constexpr auto row_table(std::tuple<F...>) {
    return std::array<RowFunction, sizeof...(F)>{RowFunction{F::name, F::weighted, F::labelled, F::tempered, F::smoothed, F::results,
                                                             F::per_class, row_loop<F, OnFloat<F>>, row_loop<F, double>}...};
}

static constexpr auto link_list = link_table(Links{});
static constexpr auto row_list = row_table(RowFunctions{});
static constexpr const Link* links = link_list.data();
static constexpr const RowFunction* row_functions = row_list.data();
static constexpr int link_count = link_list.size(), row_function_count = row_list.size();
#undef SIGMAX_BLOCK
