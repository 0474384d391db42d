package profile

// FreeDays is the length of the list of days that wait for use.
func (p *LogPartition) FreeDays() (n int) {
	for d := p.freeDays; d != nil; d = d.older {
		n++
	}
	return n
}
