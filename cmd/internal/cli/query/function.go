package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// function is one of JMESPath's functions.
type function struct {
	// args has, for each argument, the types that it may have, separated by blanks; "any" is any type.
	// array-number is an array of numbers. If the last ends in "…", it may be repeated.
	args []string
	call func(args []any) (any, error)
}

// expression is a part of a query that a function gets as an argument (&name). It returns what it finds.
type expression func(v any) (any, error)

// functionNamed returns a function, or one without call if JMESPath has none of this name.
func functionNamed(name string) function {
	value := func(f func([]any) any) func([]any) (any, error) {
		return func(args []any) (any, error) { return f(args), nil }
	}
	switch name {
	case "abs":
		return function{[]string{"number"}, value(absolute)}
	case "avg":
		return function{[]string{"array-number"}, value(average)}
	case "ceil":
		return function{[]string{"number"}, value(func(a []any) any { return whole(math.Ceil, a[0]) })}
	case "contains":
		return function{[]string{"array string", "any"}, contains}
	case "ends_with":
		return function{[]string{"string", "string"},
			value(func(a []any) any { return strings.HasSuffix(a[0].(string), a[1].(string)) })}
	case "floor":
		return function{[]string{"number"}, value(func(a []any) any { return whole(math.Floor, a[0]) })}
	case "join":
		return function{[]string{"string", "array-string"}, value(join)}
	case "keys":
		return function{[]string{"object"}, value(func(a []any) any { return texts(a[0].(*Object).keys) })}
	case "length":
		return function{[]string{"string array object"}, value(length)}
	case "map":
		return function{[]string{"expression", "array"}, mapped}
	case "max":
		return function{[]string{"array-number array-string"}, value(func(a []any) any { return extreme(a, 1) })}
	case "max_by":
		return function{[]string{"array", "expression"}, extremeBy("max_by", 1)}
	case "merge":
		return function{[]string{"object…"}, value(merge)}
	case "min":
		return function{[]string{"array-number array-string"}, value(func(a []any) any { return extreme(a, -1) })}
	case "min_by":
		return function{[]string{"array", "expression"}, extremeBy("min_by", -1)}
	case "not_null":
		return function{[]string{"any…"}, value(notNull)}
	case "reverse":
		return function{[]string{"array string"}, value(reverse)}
	case "sort":
		return function{[]string{"array-string array-number"}, value(sorted)}
	case "sort_by":
		return function{[]string{"array", "expression"}, sortBy}
	case "starts_with":
		return function{[]string{"string", "string"},
			value(func(a []any) any { return strings.HasPrefix(a[0].(string), a[1].(string)) })}
	case "sum":
		return function{[]string{"array-number"}, value(func(a []any) any { return sum(a[0].([]any)) })}
	case "to_array":
		return function{[]string{"any"}, value(toArray)}
	case "to_number":
		return function{[]string{"any"}, value(toNumber)}
	case "to_string":
		return function{[]string{"any"}, value(toString)}
	case "type":
		return function{[]string{"any"}, value(func(a []any) any { return typeOf(a[0]) })}
	case "values":
		return function{[]string{"object"}, value(func(a []any) any { return values(a[0].(*Object)) })}
	}
	return function{}
}

// fits reports whether a value has one of the types.
func fits(v any, types []string) bool {
	return slices.ContainsFunc(types, func(t string) bool {
		of, ok := strings.CutPrefix(t, "array-")
		if !ok {
			return t == typeOf(v) || t == "any" && typeOf(v) != "expression"
		}
		list, ok := v.([]any)
		return ok && !slices.ContainsFunc(list, func(item any) bool { return typeOf(item) != of })
	})
}

// describe returns the type of a value, and for a list the types of its items.
func describe(v any) string {
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		return typeOf(v)
	}
	var types []string
	for _, item := range list {
		if t := typeOf(item); !slices.Contains(types, t) {
			types = append(types, t)
		}
	}
	slices.Sort(types)
	return "array of " + strings.Join(types, " and ")
}

func absolute(a []any) any {
	if i, ok := a[0].(int64); ok {
		return max(i, -i)
	}
	return math.Abs(a[0].(float64))
}

func whole(round func(float64) float64, v any) any {
	if f, ok := v.(float64); ok {
		return int64(round(f))
	}
	return v
}

func average(a []any) any {
	list := a[0].([]any)
	if len(list) == 0 {
		return nil
	}
	return float(sum(list)) / float64(len(list))
}

func sum(list []any) any {
	var ints int64
	var floats float64
	allInts := true
	for _, v := range list {
		if i, ok := v.(int64); ok {
			ints += i
		} else {
			allInts = false
		}
		floats += float(v)
	}
	if allInts {
		return ints
	}
	return floats
}

func contains(a []any) (any, error) {
	if list, ok := a[0].([]any); ok {
		return slices.ContainsFunc(list, func(v any) bool { return equal(v, a[1]) }), nil
	}
	part, ok := a[1].(string)
	if !ok {
		return nil, fmt.Errorf("contains() cannot look for this %s in a string", typeOf(a[1]))
	}
	return strings.Contains(a[0].(string), part), nil
}

func join(a []any) any {
	var all []string
	for _, s := range a[1].([]any) {
		all = append(all, s.(string))
	}
	return strings.Join(all, a[0].(string))
}

func texts(all []string) []any {
	out := make([]any, len(all))
	for i, s := range all {
		out[i] = s
	}
	return out
}

func values(o *Object) []any {
	out := make([]any, len(o.keys))
	for i, key := range o.keys {
		out[i] = o.values[key]
	}
	return out
}

func length(a []any) any {
	switch v := a[0].(type) {
	case string:
		return int64(utf8.RuneCountInString(v))
	case []any:
		return int64(len(v))
	}
	return int64(a[0].(*Object).Len())
}

func mapped(a []any) (any, error) { return each(a[0].(expression), a[1].([]any)) }

// each returns what an expression finds in each item.
func each(e expression, items []any) ([]any, error) {
	found := make([]any, len(items))
	for i, item := range items {
		var err error
		if found[i], err = e(item); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// extreme returns the greatest value of a list, or the least if sign is -1. Of equal ones it is the first.
func extreme(a []any, sign int) any {
	list := a[0].([]any)
	if len(list) == 0 {
		return nil
	}
	return list[extremeAt(list, sign)]
}

func extremeAt(keys []any, sign int) (best int) {
	for i := range keys {
		if sign*order(keys[i], keys[best]) > 0 {
			best = i
		}
	}
	return best
}

func extremeBy(name string, sign int) func([]any) (any, error) {
	return func(a []any) (any, error) {
		items := a[0].([]any)
		keys, err := keysOf(name, items, a[1].(expression))
		if err != nil || len(items) == 0 {
			return nil, err
		}
		return items[extremeAt(keys, sign)], nil
	}
}

// keysOf returns what an expression finds in each item. All of it must be numbers, or all strings.
func keysOf(name string, items []any, e expression) ([]any, error) {
	keys, err := each(e, items)
	if err == nil && !fits(keys, []string{"array-number", "array-string"}) {
		err = fmt.Errorf("%s() cannot order this %s", name, describe(keys))
	}
	return keys, err
}

func sortBy(a []any) (any, error) {
	items := a[0].([]any)
	keys, err := keysOf("sort_by", items, a[1].(expression))
	if err != nil {
		return nil, err
	}
	at := make([]int, len(items))
	for i := range at {
		at[i] = i
	}
	slices.SortStableFunc(at, func(x, y int) int { return order(keys[x], keys[y]) })
	out := make([]any, len(items))
	for i, j := range at {
		out[i] = items[j]
	}
	return out, nil
}

func sorted(a []any) any {
	out := slices.Clone(a[0].([]any))
	slices.SortStableFunc(out, order)
	return out
}

func merge(a []any) any {
	out := a[0].(*Object).clone()
	for _, more := range a[1:] {
		for _, key := range more.(*Object).keys {
			out.Set(key, more.(*Object).values[key])
		}
	}
	return out
}

func notNull(a []any) any {
	for _, v := range a {
		if v != nil {
			return v
		}
	}
	return nil
}

func reverse(a []any) any {
	if s, ok := a[0].(string); ok {
		runes := []rune(s)
		slices.Reverse(runes)
		return string(runes)
	}
	out := slices.Clone(a[0].([]any))
	slices.Reverse(out)
	return out
}

func toArray(a []any) any {
	if list, ok := a[0].([]any); ok {
		return list
	}
	return []any{a[0]}
}

func toString(a []any) any {
	if s, ok := a[0].(string); ok {
		return s
	}
	return compact(a[0])
}

// toNumber reads a string as Python's int and float do. What is no number is null.
func toNumber(a []any) any {
	s, ok := a[0].(string)
	if !ok {
		if typeOf(a[0]) == "number" {
			return a[0]
		}
		return nil
	}
	s = strings.TrimSpace(s)
	if i, err := strconv.ParseInt(s, 10, 64); err == nil {
		return i
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !strings.ContainsAny(s, "xXpP") {
		return f
	}
	return nil
}
