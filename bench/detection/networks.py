"""`python -m bench.detection.networks`: the simulator's head loss against EPANET, on networks that WNTR ships.

Each network is taken as one district, fed with a constant head at the place of its largest tank or reservoir.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import wntr  # both need the bench lock

from bench.detection.hydraulics import LOSS_EXPONENT
from shared.domain.series import Floats

NETWORKS = ("Net1", "Net2", "Net3", "ky4", "ky10")
DEMAND_LEVELS = (0.4, 0.7, 1.0, 1.4)
"""Demand relative to the base demand."""
BURST_SHARE = 0.10
"""Share of the demand that runs out at one junction in addition."""
BURST_COUNT = 40


def main() -> None:
    """Print the exponent of head loss, and the pressure loss of a burst relative to the same flow as demand."""
    print(f"network | junctions | exponent ({LOSS_EXPONENT} here) | burst against demand: 10 %, 50 %, 90 %")
    for name in NETWORKS:
        district = District(name)
        exponent, ratios = district.exponent(), district.burst_ratios(np.random.default_rng(1))
        ratio_text = ", ".join(f"{value:.1f}" for value in np.quantile(ratios, (0.1, 0.5, 0.9)))
        print(f"{name} | {len(district.base_demand)} | {exponent:.3f} | {ratio_text}", flush=True)


class District:
    """A network of WNTR as a district with one inlet."""

    def __init__(self, name: str) -> None:
        source = wntr.network.WaterNetworkModel(name)
        pipes = [(pipe.start_node_name, pipe.end_node_name, pipe) for _, pipe in source.pipes()]
        graph = nx.Graph([(start, end) for start, end, _ in pipes])
        supplies = [node for node in [*source.tank_name_list, *source.reservoir_name_list] if node in graph]
        self.inlet = max(supplies, key=lambda node: len(nx.node_connected_component(graph, node)))
        connected = nx.node_connected_component(graph, self.inlet)
        self.base_demand = {
            node: max(source.get_node(node).base_demand, 0.0) for node in source.junction_name_list if node in connected
        }
        self._pipes = [pipe for start, _, pipe in pipes if start in connected]

    def heads(self, demands: dict[str, float]) -> Floats:
        """Return (junctions,) head in m at these demands (m³/s); 1000 m at the inlet."""
        model: Any = wntr.network.WaterNetworkModel()
        model.add_reservoir(self.inlet, 1000.0)
        for name, demand in demands.items():
            model.add_junction(name, demand)
        for pipe in self._pipes:
            ends = pipe.start_node_name, pipe.end_node_name
            if all(end == self.inlet or end in demands for end in ends):
                model.add_pipe(pipe.name, *ends, pipe.length, pipe.diameter, pipe.roughness)
        results = wntr.sim.EpanetSimulator(model).run_sim()
        heads: Floats = results.node["head"].loc[0, list(demands)].to_numpy(dtype=float)
        return heads

    def exponent(self) -> float:
        """Return the exponent of the head loss of the median junction against the flow."""
        losses = [1000.0 - np.median(self.heads(self._scaled_demand(level))) for level in DEMAND_LEVELS]
        return float(np.polyfit(np.log(DEMAND_LEVELS), np.log(losses), 1)[0])

    def burst_ratios(self, rng: np.random.Generator) -> Floats:
        """Return the pressure loss of bursts at random junctions and gauges, relative to the same flow as demand."""
        base_heads = self.heads(self.base_demand)
        spread_loss = base_heads - self.heads(self._scaled_demand(1 + BURST_SHARE))
        junctions = [name for name, demand in self.base_demand.items() if demand > 0]
        ratios = []
        for junction in rng.choice(junctions, BURST_COUNT):
            burst = self.base_demand | {
                str(junction): self.base_demand[str(junction)] + BURST_SHARE * sum(self.base_demand.values())
            }
            gauge = rng.integers(len(base_heads))
            if spread_loss[gauge] > 0:
                ratios.append((base_heads - self.heads(burst))[gauge] / spread_loss[gauge])
        return np.array(ratios)

    def _scaled_demand(self, level: float) -> dict[str, float]:
        return {name: level * demand for name, demand in self.base_demand.items()}


if __name__ == "__main__":
    main()
