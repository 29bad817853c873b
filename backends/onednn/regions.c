#include "backends/onednn/regions.h"

bl_cpu_waits bl_cpu_waits_since(const bl_cpu_plan *plan, bl_cpu_waits before) {
    const bl_cpu_waits now = bl_cpu_team_waits(bl_cpu_backend_of(&plan->lowering)->team);
    return (bl_cpu_waits){now.regions - before.regions, now.barriers - before.barriers};
}

int bl_cpu_run_together(bl_cpu_plan *plan, const bl_node *node, int (*work)(void *context), void *context) {
    bl_cpu_team *team = bl_cpu_backend_of(&plan->lowering)->team;
    const bl_cpu_waits before = bl_cpu_team_waits(team);
    const int status = bl_cpu_team_run(team, work, context);
    if (!plan->lowering.is_timed) return status;
    const bl_cpu_waits added = bl_cpu_waits_since(plan, before);
    plan->waits.regions += added.regions;
    plan->waits.barriers += added.barriers;
    if (node) plan->lowering.rows[node->id].regions += added.regions;
    return status;
}
