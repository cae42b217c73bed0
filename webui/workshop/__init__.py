"""Convert, quantise, measure: a wing that one view and one command enter."""
