"""What tests share: data sets, reference optima, a plain-loop reference implementation, traces left behind."""
