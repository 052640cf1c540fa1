"""How the network runs on this machine: what there is to choose from, measured, remembered and watched."""
