package query

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
)

// A value is nil, a bool, an int64, a float64, a string, a []any of values, or an *Object.

// Object is a JSON object that keeps the order of its keys.
type Object struct {
	// Made says that the query made this object ({a: b}). az prints its values in the order of the query, and
	// those of all other objects in the order of their keys.
	Made bool

	keys   []string
	values map[string]any
}

// NewObject returns an empty object.
func NewObject() *Object { return &Object{values: map[string]any{}} }

// Len returns the number of keys.
func (o *Object) Len() int { return len(o.keys) }

// Keys returns the keys in their order.
func (o *Object) Keys() []string { return slices.Clone(o.keys) }

// Sorted returns the keys in alphabetical order.
func (o *Object) Sorted() []string { return slices.Sorted(slices.Values(o.keys)) }

// Get returns the value of key, and whether there is one.
func (o *Object) Get(key string) (any, bool) {
	v, ok := o.values[key]
	return v, ok
}

// Set gives key a value. A new key comes last.
func (o *Object) Set(key string, v any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = v
}

func (o *Object) clone() *Object {
	return &Object{keys: slices.Clone(o.keys), values: maps.Clone(o.values)}
}

// ValueOf returns v as a value, by way of its JSON.
func ValueOf(v any) (any, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, err
	}
	return Decode(b)
}

// Decode reads one JSON value.
func Decode(b []byte) (any, error) {
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := decode(d)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("more than one JSON value")
	}
	return v, nil
}

func decode(d *json.Decoder) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t := t.(type) {
	case json.Number:
		return number(string(t)), nil
	case json.Delim:
		if t == '[' {
			return decodeList(d)
		}
		return decodeObject(d)
	}
	return t, nil
}

func decodeList(d *json.Decoder) (any, error) {
	list := []any{}
	for d.More() {
		v, err := decode(d)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	_, err := d.Token()
	return list, err
}

func decodeObject(d *json.Decoder) (any, error) {
	o := NewObject()
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return nil, err
		}
		v, err := decode(d)
		if err != nil {
			return nil, err
		}
		o.Set(key.(string), v)
	}
	_, err := d.Token()
	return o, err
}

// number reads a JSON number. A whole number that is too long for an int64 becomes a float64.
func number(s string) any {
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return math.Inf(1) // as Python reads 1e999
	}
	return f
}

// typeOf returns the JMESPath name of a value's type.
func typeOf(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case int64, float64:
		return "number"
	case string:
		return "string"
	case []any:
		return "array"
	case *Object:
		return "object"
	}
	return "expression"
}

func float(v any) float64 {
	if i, ok := v.(int64); ok {
		return float64(i)
	}
	return v.(float64)
}

// isFalse reports what JMESPath takes for false. Zero is not.
func isFalse(v any) bool {
	switch v := v.(type) {
	case nil:
		return true
	case bool:
		return !v
	case string:
		return v == ""
	case []any:
		return len(v) == 0
	case *Object:
		return v.Len() == 0
	}
	return false
}

func equal(x, y any) bool {
	switch x := x.(type) {
	case int64, float64:
		if typeOf(y) != "number" {
			return false
		}
		return order(x, y) == 0
	case []any:
		y, ok := y.([]any)
		return ok && slices.EqualFunc(x, y, equal)
	case *Object:
		y, ok := y.(*Object)
		return ok && maps.EqualFunc(x.values, y.values, equal)
	}
	return typeOf(x) == typeOf(y) && x == y
}

// order compares two numbers or two strings.
func order(x, y any) int {
	if s, ok := x.(string); ok {
		return strings.Compare(s, y.(string))
	}
	i, whole := x.(int64)
	if j, ok := y.(int64); ok && whole {
		return cmp.Compare(i, j)
	}
	return cmp.Compare(float(x), float(y))
}

// Number returns a number as Python writes it.
func Number(v any) string {
	if i, ok := v.(int64); ok {
		return strconv.FormatInt(i, 10)
	}
	f := v.(float64)
	if math.IsInf(f, 0) || math.IsNaN(f) {
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'f', -1, 64)), "+")
	}
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}

// Quote returns a JSON string. Characters above last are escaped.
func Quote(s string, last rune) string {
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range s {
		switch short := strings.IndexRune("\"\\\n\r\t\b\f", r); {
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\nrtbf`[short])
		case r > 0xffff && r > last:
			high, low := (r-0x10000)>>10+0xd800, (r-0x10000)&0x3ff+0xdc00
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		case r < ' ' || r > last:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}

// compact returns v as to_string does: JSON without blanks, in the order of the keys, in ASCII.
func compact(v any) string {
	var b strings.Builder
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case int64, float64:
		b.WriteString(Number(v))
	case string:
		b.WriteString(Quote(v, '\x7f'))
	case []any:
		for i, one := range v {
			b.WriteString([]string{"[", ","}[min(i, 1)] + compact(one))
		}
		b.WriteString("[]"[min(len(v), 1):])
	case *Object:
		for i, key := range v.keys {
			b.WriteString([]string{"{", ","}[min(i, 1)] + Quote(key, '\x7f') + ":" + compact(v.values[key]))
		}
		b.WriteString("{}"[min(len(v.keys), 1):])
	}
	return b.String()
}
