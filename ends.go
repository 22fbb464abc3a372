package dray

// transferEnds returns what the sources and targets of req name, the Target first.
func transferEnds(b *base, names *reader, req sweepRequest) (sources, targets []reach, err error) {
	return newTransferring(b, names, req, nil).ends()
}
