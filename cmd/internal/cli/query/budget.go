package query

import "errors"

// Limits of a query.
const (
	maxExpression = 16 << 10 // bytes of its text
	freeWork      = 1_000_000
	workPerValue  = 20
	textPerWork   = 16 // bytes of text that count like a value
)

// workFor returns how much work a query may do with v: a node that looks at a value, and a value that is copied or
// compared, are one each. A query that doubles a list forty times reaches any limit soon; one that reads a list of a
// million tags a few times stays below it.
func workFor(v any) int { return freeWork + workPerValue*weigh(v, 1<<40) }

// budget is the work that a search may still do.
type budget struct{ left int }

var errWork = errors.New("it makes or compares too many values")

// spend takes n from the work that is left.
func (b *budget) spend(n int) error {
	if b.left -= n; b.left < 0 {
		return errWork
	}
	return nil
}

// spendOn takes as much work as values have parts.
func (b *budget) spendOn(values ...any) error {
	for _, v := range values {
		if err := b.spend(weigh(v, b.left)); err != nil {
			return err
		}
	}
	return nil
}

// weigh counts the parts of v, and stops when they are more than most: a list may have the same list several times, so
// that all of it is much larger than its memory.
func weigh(v any, most int) int {
	sum := 1
	add := func(one any) { sum += weigh(one, most-sum) }
	switch v := v.(type) {
	case string:
		sum += len(v) / textPerWork
	case []any:
		for i := 0; i < len(v) && sum <= most; i++ {
			add(v[i])
		}
	case *Object:
		for i := 0; i < len(v.keys) && sum <= most; i++ {
			add(v.values[v.keys[i]])
		}
	}
	return sum
}
