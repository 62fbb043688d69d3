"""How good forecasts are: ten real districts, and simulated ones through ./wvr replay."""
