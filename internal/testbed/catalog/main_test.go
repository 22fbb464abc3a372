package main

import (
	"strings"
	"testing"
)

const page = "| fault | what happens | what dray does | tests |\n|---|---|---|---|\n" +
	"| F-01 | It breaks | Mended | `TestOne`, `FuzzTwo` |\n| F-02 | It burns | Put out | |\n| F-03 | It rains | Waits | `TestThree` |\n"

func TestAFaultIsShownOnlyIfAllItsTestsPass(t *testing.T) {
	faults := parse(page)
	if len(faults) != 3 || len(faults[0].tests) != 2 {
		t.Fatalf("%+v", faults)
	}
	for given, want := range map[string]string{
		`{"Action":"pass","Test":"TestOne","Elapsed":1.5}{"Action":"pass","Test":"FuzzTwo","Elapsed":0.25}{"Action":"pass","Test":"TestThree"}`:                                   "F-01    2 tests   1.75 s  shown: It breaks\nF-02    0 tests   0.00 s  NO TEST: It burns\nF-03    1 tests   0.00 s  shown: It rains\n\n3 faults, 2 shown by 3 tests\n",
		`{"Action":"pass","Test":"TestOne"}{"Action":"skip","Test":"FuzzTwo"}{"Action":"fail","Test":"TestThree"}{"Action":"pass","Test":"TestThree"}`:                            "F-01    2 tests   0.00 s  SKIP FuzzTwo: It breaks\nF-02    0 tests   0.00 s  NO TEST: It burns\nF-03    1 tests   0.00 s  FAIL TestThree: It rains\n\n3 faults, 0 shown by 3 tests\n",
		`{"Action":"run","Test":"TestOne"}{"Action":"pass","Test":"TestOne/part"}{"Action":"pass","Test":"FuzzTwo"}{"Action":"output","Output":"x"}{"Action":"fail","Elapsed":1}`: "F-01    2 tests   0.00 s  MISSING TestOne: It breaks\nF-02    0 tests   0.00 s  NO TEST: It burns\nF-03    1 tests   0.00 s  MISSING TestThree: It rains\n\n3 faults, 0 shown by 3 tests\n",
	} {
		results, err := read([]byte(given))
		if err != nil {
			t.Fatal(err)
		}
		var out strings.Builder
		kinds["faults"].table(&out, faults, results)
		if out.String() != want {
			t.Errorf("%s gives\n%s, want\n%s", given, out.String(), want)
		}
	}
	if _, err := read([]byte(`{"Action":"pass"} not JSON`)); err == nil {
		t.Error("output that is no JSON is taken")
	}
}

func TestTheTableOfLimitsHasTheirFigures(t *testing.T) {
	limits := parse("| L-01 | Few files | Does less at once | `TestOne` |\n| L-02 | No rights | | `TestTwo` |\n")
	results, err := read([]byte(`{"Action":"attr","Test":"TestOne/part","Key":"figure","Value":"24 files: 1.2 s"}{"Action":"attr","Test":"TestOne","Key":"other","Value":"x"}{"Action":"pass","Test":"TestOne","Elapsed":2}{"Action":"skip","Test":"TestTwo"}`))
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	const want = "L-01    1 tests   2.00 s  shown: Few files\n       24 files: 1.2 s\nL-02    1 tests   0.00 s  SKIP TestTwo: No rights\n\n2 limits, 2 shown by 2 tests\n"
	if bad := kinds["limits"].table(&out, limits, results); bad != 0 || out.String() != want {
		t.Errorf("%d\n%s", bad, out.String())
	}
}
