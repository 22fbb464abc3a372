package report

import "slices"

// Tags returns a function that reports whether a step of steps is of a tag of its own. A digest tag, such as that
// of a signature, belongs to an image, unless nothing else is copied.
func Tags(steps []Step) func(Step) bool {
	alone := !slices.ContainsFunc(steps, func(s Step) bool { return !s.Attached() })
	return func(s Step) bool { return alone || !s.Attached() }
}

// Repeats returns a function that reports whether a step of steps is of a digest tag and failed as its image did.
func Repeats(steps []Step) func(Step) bool {
	said := map[string]bool{}
	for _, s := range steps {
		if s.Err != nil && !s.Attached() {
			said[s.Err.Error()] = true
		}
	}
	return func(s Step) bool { return s.Err != nil && s.Attached() && said[s.Err.Error()] }
}
