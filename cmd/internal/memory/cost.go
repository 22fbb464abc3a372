package memory

const (
	perByte   = 8   // copies of the text, and strings
	perValue  = 96  // an element of a list or a field of an object, and the growth of what contains it
	perObject = 256 // a map or a struct
)

// Cost estimates from above how many bytes of memory the JSON text or form raw takes while it is decoded. It is a sum
// over the bytes of raw, so the cost of a text is the sum of the costs of its pieces. The text need not be valid.
func Cost(raw []byte) int64 {
	n := int64(len(raw)) * perByte
	for _, c := range raw {
		switch c {
		case ',', ':', '&', '[':
			n += perValue
		case '{':
			n += perObject
		}
	}
	return n
}
