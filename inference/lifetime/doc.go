// Package lifetime holds the "buy till you die" models of repeat buying: BG/NBD
// for purchases and drop-out (Fader, Hardie, Lee 2005), Gamma-Gamma for the money
// of a purchase (Fader, Hardie 2013).
//
// It owns their likelihoods, fits and expectations, as baselines beside the heads.
// Invariants: fits repeat to the bit; a fit that runs to no drop-out is reported
// as such and not passed off as one. Never: rows, features, random numbers.
package lifetime
