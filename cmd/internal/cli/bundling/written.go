package bundling

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/drayage/dray/cmd/internal/cli/out"
)

// written is the value of -o in dray bundle create, which takes the file of the bundle. Since -o is also the
// format of the answer in every command, a word that is a format is that. A file with such a name is written
// "./json".
type written struct {
	file   string
	format *out.Format
	given  []string
}

var _ pflag.SliceValue = (*written)(nil) // -o may be given twice: for the file, and for the format

// String implements pflag.Value.
func (w *written) String() string { return w.file }

// Type implements pflag.Value.
func (w *written) Type() string { return "FILE" }

// Set implements pflag.Value.
func (w *written) Set(s string) error {
	w.given = append(w.given, s)
	if slices.Contains(strings.Split(w.format.Type(), "|"), s) {
		return w.format.Set(s)
	}
	w.file = s
	return nil
}

// Append implements pflag.SliceValue.
func (w *written) Append(s string) error { return w.Set(s) }

// Replace implements pflag.SliceValue.
func (w *written) Replace(all []string) error {
	w.given = nil
	for _, s := range all {
		if err := w.Set(s); err != nil {
			return err
		}
	}
	return nil
}

// GetSlice implements pflag.SliceValue.
func (w *written) GetSlice() []string { return w.given }
