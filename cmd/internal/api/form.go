package api

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"

	"github.com/drayage/dray/cmd/internal/wire"
	"github.com/drayage/dray/fault"
)

// largeBody is the size in bytes from which checkForm reads a body.
const largeBody = 64 << 10

// checkForm returns an error if the body of r does not have the form of t. huma finds every mistake of a body, and a
// mistake takes much more memory than the byte that it is about. So a large body is refused at its first field or value
// that does not belong there, before huma sees it. Other mistakes are left to huma.
func checkForm(r *http.Request, t reflect.Type) error {
	if r.ContentLength >= 0 && r.ContentLength < largeBody {
		return nil
	}
	raw, err := io.ReadAll(r.Body) // it is in memory
	if err != nil {                // huma reads the rest, with the same error
		r.Body = io.NopCloser(io.MultiReader(bytes.NewReader(raw), r.Body))
		return nil
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	if len(raw) < largeBody || !json.Valid(raw) {
		return nil
	}
	f := form{d: json.NewDecoder(bytes.NewReader(raw)), fields: map[reflect.Type]map[string]reflect.Type{}}
	if err := f.value("", t); err != nil {
		return &fault.Fault{Kind: fault.Invalid, Op: "read request", Err: err,
			Hint: "see " + wire.Prefix + "/openapi.json for the fields"}
	}
	return nil
}

// form compares a JSON text with a type, token by token.
type form struct {
	d      *json.Decoder
	fields map[reflect.Type]map[string]reflect.Type // of structs, by their names in lower case
}

// value compares the next value, which is that of the field at, with t.
func (f form) value(at string, t reflect.Type) error {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Interface || reflect.PointerTo(t).Implements(reflect.TypeFor[json.Unmarshaler]()) {
		var whole json.RawMessage
		return f.d.Decode(&whole)
	}
	token, err := f.d.Token()
	if err != nil {
		return err
	}
	fits := false
	switch token := token.(type) {
	case json.Delim:
		switch {
		case token == '[' && t.Kind() == reflect.Slice:
			return f.each(func() error { return f.value(at, t.Elem()) })
		case token == '{' && (t.Kind() == reflect.Struct || t.Kind() == reflect.Map):
			return f.each(func() error { return f.field(t) })
		}
	case string:
		fits = t.Kind() == reflect.String || t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8 ||
			reflect.PointerTo(t).Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
	case float64:
		fits = t.Kind() >= reflect.Int && t.Kind() <= reflect.Float64
	case bool:
		fits = t.Kind() == reflect.Bool
	case nil:
		fits = true
	}
	if !fits {
		return errors.New("the value of " + at + " has the wrong type")
	}
	return nil
}

// each calls do before each element, and reads the end of the list or the object.
func (f form) each(do func() error) error {
	for f.d.More() {
		if err := do(); err != nil {
			return err
		}
	}
	_, err := f.d.Token()
	return err
}

// field compares the next field of an object with the struct or the map t.
func (f form) field(t reflect.Type) error {
	token, err := f.d.Token()
	name, _ := token.(string)
	if err != nil {
		return err
	}
	if t.Kind() == reflect.Map {
		return f.value(shown(name), t.Elem())
	}
	of, ok := f.of(t)[strings.ToLower(name)]
	if !ok {
		return errors.New("unknown field " + shown(name))
	}
	return f.value(shown(name), of)
}

func (f form) of(t reflect.Type) map[string]reflect.Type {
	all, ok := f.fields[t]
	if !ok {
		all = map[string]reflect.Type{}
		for _, field := range reflect.VisibleFields(t) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if name != "" {
				all[strings.ToLower(name)] = field.Type
			}
		}
		f.fields[t] = all
	}
	return all
}

// shown returns the name of a field for an error.
func shown(name string) string {
	if len(name) > 64 {
		name = strings.ToValidUTF8(name[:64], "") + "…"
	}
	return wire.OneLine(name)
}
