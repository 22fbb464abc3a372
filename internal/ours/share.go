package ours

// sharing says who besides the user and root may write.
type sharing int

const (
	alone sharing = iota // nobody
	group                // a group of the process
)
