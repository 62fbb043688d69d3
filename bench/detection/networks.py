"""`python -m bench.detection.networks`: what EPANET says of the simulator's head loss, on networks that WNTR ships.

Each network's pipes are taken as one district: fed at the place of its largest tank or reservoir, from a constant head.
"""

from __future__ import annotations

from typing import Any

import networkx as nx
import numpy as np
import wntr  # both need the bench lock

from bench.detection.pipes import LOSS_EXPONENT
from shared.domain.series import Floats

NETWORKS = ("Net1", "Net2", "Net3", "ky4", "ky10")
LEVELS = (0.4, 0.7, 1.0, 1.4)
"""Demand in parts of the usual."""
BURST = 0.10
"""Share of the demand that runs out at one junction more."""
BURSTS = 40


def main() -> None:
    """Prints exponent of loss against flow, and how much more a burst lowers a gauge than the same flow as demand."""
    print(f"network | junctions | exponent ({LOSS_EXPONENT} here) | burst against demand: 10 %, 50 %, 90 %")
    for name in NETWORKS:
        district = District(name)
        exponent, near = district.exponent(), district.near(np.random.default_rng(1))
        felt = ", ".join(f"{value:.1f}" for value in np.quantile(near, (0.1, 0.5, 0.9)))
        print(f"{name} | {len(district.base)} | {exponent:.3f} | {felt}", flush=True)


class District:
    """A network of WNTR as a district with one inlet."""

    def __init__(self, name: str) -> None:
        source = wntr.network.WaterNetworkModel(name)
        pipes = [(pipe.start_node_name, pipe.end_node_name, pipe) for _, pipe in source.pipes()]
        graph = nx.Graph([(start, end) for start, end, _ in pipes])
        supplies = [one for one in [*source.tank_name_list, *source.reservoir_name_list] if one in graph]
        self.inlet = max(supplies, key=lambda one: len(nx.node_connected_component(graph, one)))
        fed = nx.node_connected_component(graph, self.inlet)
        self.base = {one: max(source.get_node(one).base_demand, 0.0) for one in source.junction_name_list if one in fed}
        self._pipes = [pipe for start, _, pipe in pipes if start in fed]

    def heads(self, demands: dict[str, float]) -> Floats:
        """(junctions,) head in m at these demands, m³/s; 1000 m at the inlet."""
        model: Any = wntr.network.WaterNetworkModel()
        model.add_reservoir(self.inlet, 1000.0)
        for name, demand in demands.items():
            model.add_junction(name, demand)
        for pipe in self._pipes:
            ends = pipe.start_node_name, pipe.end_node_name
            if all(end == self.inlet or end in demands for end in ends):
                model.add_pipe(pipe.name, *ends, pipe.length, pipe.diameter, pipe.roughness)
        results = wntr.sim.EpanetSimulator(model).run_sim()
        found: Floats = results.node["head"].loc[0, list(demands)].to_numpy(dtype=float)
        return found

    def exponent(self) -> float:
        """Of the loss of the median junction against the flow."""
        losses = [1000.0 - np.median(self.heads(self._times(level))) for level in LEVELS]
        return float(np.polyfit(np.log(LEVELS), np.log(losses), 1)[0])

    def near(self, rng: np.random.Generator) -> Floats:
        """How much more bursts at random junctions lower random gauges than the same flow spread as demand."""
        usual = self.heads(self.base)
        spread = usual - self.heads(self._times(1 + BURST))
        places = [name for name, demand in self.base.items() if demand > 0]
        found = []
        for place in rng.choice(places, BURSTS):
            burst = self.base | {str(place): self.base[str(place)] + BURST * sum(self.base.values())}
            gauge = rng.integers(len(usual))
            if spread[gauge] > 0:
                found.append((usual - self.heads(burst))[gauge] / spread[gauge])
        return np.array(found)

    def _times(self, level: float) -> dict[str, float]:
        return {name: level * demand for name, demand in self.base.items()}


if __name__ == "__main__":
    main()
