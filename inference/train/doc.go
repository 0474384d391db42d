// Package train fits the heads of a model bundle on as-of rows and their labels,
// and evaluates them on rows held out by time and by customer.
//
// It owns splits, cross-fitting, the choice of hyper-parameters, mixing,
// calibration and the baselines in the report. Invariants: customers never
// straddle a split or a fold; what is chosen or calibrated is chosen on
// predictions for customers not fitted on; one seed gives the same model and
// report to the byte, whatever the machine's load. Never: making rows or labels,
// the clock, the network.
package train
