package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
)

// bench is a registry with faults and one of its repositories, in virtual time.
type bench struct {
	*testing.T
	r      *testbed.Registry
	repo   *remote.Repository
	client *remote.Client
	events *events
}

// bubble runs test in virtual time against distribution v3 with faults in front of it.
func bubble(t *testing.T, faults []*hostile.Fault, test func(b *bench), changes ...func(*testbed.Options, *remote.Options)) {
	t.Helper()
	h := testbed.NewDistribution(t, testbed.Options{})
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(time.Second) }) // a server waits half a second before it closes a connection early
		serve := testbed.Options{Wire: testbed.Pipes}
		o := remote.Options{CertDirs: []string{}, Default: credential.Settings{PlainHTTP: true}, Stall: 30 * time.Second}
		withLogin(&o)
		for _, change := range changes {
			change(&serve, &o)
		}
		r := hostile.Serve(t, h, serve, faults...)
		o.Dial = r.Dial
		if r.Issuer != nil && r.Issuer.Server != nil {
			o.Dial = testbed.Dialer(r, r.Issuer.Server)
		}
		c, err := remote.New(o)
		must(t, err)
		t.Cleanup(c.Close)
		b := &bench{T: t, r: r, client: c, events: &events{}}
		b.repo = c.Open(repo(r, "app"), remote.Use{Actions: remote.Push, Observe: b.events.watch()})
		test(b)
		if t.Failed() {
			story := r.Story()
			t.Log(story[:min(len(story), 4000)])
		}
	})
}

func (b *bench) store(seed uint64, size int64) ([]byte, oci.Descriptor) {
	b.Helper()
	data, d := noise(b, seed, size)
	b.r.Blob(b, "app", d.MediaType, data)
	return data, d
}

func (b *bench) read(d oci.Descriptor, at, n int64) (got []byte, from int64, err error) {
	b.Helper()
	body, from, err := b.repo.Blob(b.Context(), d, at, n)
	if err != nil {
		return nil, from, err
	}
	defer body.Close()
	got, err = io.ReadAll(body)
	return got, from, err
}

// send puts data and checks that it was stored completely.
func (b *bench) send(data []byte, d oci.Descriptor) (oci.Arrival, error) {
	b.Helper()
	a, err := b.repo.Put(b.Context(), d, nil, opener(data))
	if err != nil {
		return a, err
	}
	var stored bytes.Buffer
	b.r.Direct(b, "GET", "/v2/app/blobs/"+string(d.Digest), nil, nil, &stored)
	if !bytes.Equal(stored.Bytes(), data) {
		b.Errorf("%d of %d bytes are stored, or they differ", stored.Len(), len(data))
	}
	return a, err
}

func (b *bench) absent(d oci.Descriptor) {
	b.Helper()
	if resp := b.r.Direct(b, "HEAD", "/v2/app/blobs/"+string(d.Digest), nil, nil, nil); resp.StatusCode != 404 {
		b.Errorf("the blob exists: status %d", resp.StatusCode)
	}
}

func (b *bench) count(method string, kind testbed.Kind, want int) {
	b.Helper()
	if got := b.r.Count(method, kind); got != want {
		b.Errorf("%d requests %s %s, want %d\n%s", got, method, kind, want, b.r.Story())
	}
}

const mib = 1 << 20

func TestF02ACutBodyIsAnErrorAndGoesOnAtAnOffset(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.CutBodyAt(mib).Once()}, func(b *bench) {
		data, d := b.store(1, 2*mib)
		got, _, err := b.read(d, 0, -1)
		wantKind(b, err, fault.Unavailable)
		if !bytes.Equal(got, data[:len(got)]) || len(got) == 0 {
			b.Fatalf("%d bytes before the cut", len(got))
		}
		rest, from, err := b.read(d, int64(len(got)), -1)
		must(b, err)
		if from != int64(len(got)) || !bytes.Equal(rest, data[from:]) {
			b.Errorf("from %d, %d bytes", from, len(rest))
		}
	})
}

func TestF03F04F05ARangeThatIsNotGivenBeginsFromTheStart(t *testing.T) {
	for name, newFault := range map[string]func() *hostile.Fault{
		"F03 200":                   hostile.IgnoreRange,
		"F04 another Content-Range": hostile.WrongContentRange,
		"F04 multipart":             hostile.MultipartRange,
		"F04 another total": func() *hostile.Fault {
			return hostile.Header("Content-Range", "bytes 400-499/2000").On("GET", testbed.Blob)
		},
		"F05 416": hostile.RangeNotSatisfiable,
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{newFault()}, func(b *bench) {
				data, d := b.store(1, 1000)
				for range 2 {
					got, from, err := b.read(d, 400, 100)
					must(b, err)
					if from != 0 || !bytes.Equal(got, data) {
						b.Errorf("from %d, %d bytes", from, len(got))
					}
				}
				b.count("GET", testbed.Blob, 3) // one shows that there are no ranges, then the whole blob twice
			})
		})
	}
}

func TestARangeIsClosedAndNothingIsAskedAtTheEnd(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := b.store(1, 1000)
		got, from, err := b.read(d, 400, 100)
		must(b, err)
		if from != 400 || !bytes.Equal(got, data[400:500]) {
			b.Errorf("from %d, %d bytes", from, len(got))
		}
		if h := b.r.Log()[0].Header; h.Get("Range") != "bytes=400-499" || h.Get("Accept-Encoding") != "identity" {
			b.Errorf("requested with %v", h)
		}
		b.r.Reset()
		if got, _, err := b.read(d, 1000, -1); err != nil || len(got) != 0 {
			b.Errorf("%d bytes, %v", len(got), err)
		}
		b.count("", "", 0)
	})
}

func TestF07F09ALengthThatIsNotTheDescriptorsIsCorruptBeforeTheFirstByte(t *testing.T) {
	for name, f := range map[string]func() *hostile.Fault{
		"F07": func() *hostile.Fault { return hostile.ContentLengthMismatch(1) },
		"F09": func() *hostile.Fault { return hostile.LongerBody(10) },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f()}, func(b *bench) {
				_, d := b.store(1, 1000)
				_, _, err := b.repo.Blob(b.Context(), d, 0, -1)
				wantKind(b, err, fault.Corrupt)
				b.count("GET", testbed.Blob, 2)
			})
		})
	}
}

func TestF08ACleanEndThatComesEarlyIsAnError(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.CleanEOFAt(300)}, func(b *bench) {
		_, d := b.store(1, 1000)
		got, _, err := b.read(d, 0, -1)
		wantKind(b, err, fault.Unavailable)
		if len(got) != 300 {
			b.Errorf("%d bytes", len(got))
		}
	})
}

func TestF11AStalledBodyIsCutAfterTheStallTime(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.StallAt(300, 0).Once()}, func(b *bench) {
		_, d := b.store(1, 1000)
		begin := time.Now()
		_, _, err := b.read(d, 0, -1)
		wantKind(b, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "no progress for 30s") || time.Since(begin) != 30*time.Second {
			b.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}

func TestASlowReaderIsNoStall(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := b.store(1, mib)
		body, _, err := b.repo.Blob(b.Context(), d, 0, -1)
		must(b, err)
		defer body.Close()
		time.Sleep(10 * time.Minute)
		got, err := io.ReadAll(body)
		must(b, err)
		if !bytes.Equal(got, data) {
			b.Error("the bytes differ")
		}
	})
}

func TestF12NoHeaderIsTriedAgain(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.NoHeader(0).Once()}, func(b *bench) {
		testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		begin := time.Now()
		_, err := b.repo.Resolve(b.Context(), "v1")
		must(b, err)
		if d := time.Since(begin); d < 30*time.Second || d > 31*time.Second {
			b.Errorf("took %v", d)
		}
		if len(b.events.of(event.Retried)) != 1 {
			b.Error("the wait was not reported")
		}
	})
}

// A cache answers only when it has fetched the content, which takes longer than any stall.
func TestF12AnAnswerMayBeginLateAndLaterWithEachTry(t *testing.T) {
	thinks := func(d time.Duration, first, of time.Duration) func(*testbed.Options, *remote.Options) {
		return func(s *testbed.Options, o *remote.Options) {
			o.FirstByte, o.Default.FirstByte = first, of
			s.Front = func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if r.Method != http.MethodPut && r.Method != http.MethodPost {
						select {
						case <-r.Context().Done():
						case <-time.After(d):
						}
					}
					next.ServeHTTP(w, r)
				})
			}
		}
	}
	const backoffs = 16 * time.Second // the random waits before five retries: 0.5, 1, 2, 4 and 8 s at most
	for name, tt := range map[string]struct {
		takes, first, of, want time.Duration // first is for all registries, of is for this one
		tries                  int
	}{
		"as long as is allowed":       {20 * time.Second, 0, 0, 20 * time.Second, 1},
		"each try has twice the time": {200 * time.Second, 0, 0, (30 + 60 + 120 + 200) * time.Second, 4},
		"five minutes in the end":     {299 * time.Second, 0, 0, (30 + 60 + 120 + 240 + 299) * time.Second, 6},
		"more, if that is allowed":    {20 * time.Minute, 30 * time.Minute, 0, 20 * time.Minute, 1},
		"more at this registry":       {20 * time.Minute, time.Second, 30 * time.Minute, 20 * time.Minute, 1},
		"less at this registry":       {3 * time.Second, time.Hour, 2 * time.Second, (2 + 3) * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				data, d := b.store(1, mib)
				begin := time.Now()
				got, _, err := b.read(d, 0, -1)
				must(b, err)
				if took := time.Since(begin); !bytes.Equal(got, data) || took < tt.want || took > tt.want+backoffs {
					b.Errorf("%d bytes in %v, want %v", len(got), took, tt.want)
				}
				b.count("GET", testbed.Blob, tt.tries)
			}, thinks(tt.takes, tt.first, tt.of), func(s *testbed.Options, _ *remote.Options) {
				if tt.tries > 4 { // a host that never answered is given up after 4 tries
					answersFirst(s, nil)
				}
			})
		})
	}
	bubble(t, nil, func(b *bench) {
		_, err := b.repo.Resolve(b.Context(), "v1")
		wantKind(b, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "no answer for 5m0s") || !strings.Contains(fault.HintOf(err), "first-byte-timeout") {
			b.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
	}, thinks(time.Hour, 0, 0), answersFirst)
}

// answersFirst makes the registry known as one that answers.
func answersFirst(s *testbed.Options, _ *remote.Options) {
	late := s.Front
	answered := false
	s.Front = func(next http.Handler) http.Handler {
		after := late(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !answered {
				answered = true
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			after.ServeHTTP(w, r)
		})
	}
}

func TestF12AStallInTheMiddleIsCutHoweverLateAnAnswerMayBegin(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.StallAt(300, 0).Once()}, func(b *bench) {
		_, d := b.store(1, 1000)
		begin := time.Now()
		_, _, err := b.read(d, 0, -1)
		wantKind(b, err, fault.Unavailable)
		if !strings.Contains(err.Error(), "no progress for 30s") || time.Since(begin) != 30*time.Second {
			b.Errorf("after %v: %v", time.Since(begin), err)
		}
	}, func(_ *testbed.Options, o *remote.Options) { o.FirstByte = time.Hour })
}

func TestF16RetryAfterIsHonouredByTheWholeHost(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{
		"seconds": hostile.TooMany("3600"), "date": hostile.TooManyUntil(time.Hour),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f.On("HEAD", testbed.Manifest).Once()}, func(b *bench) {
				testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				begin := time.Now()
				done := make(chan error)
				go func() {
					_, err := b.repo.Resolve(b.Context(), "v1")
					done <- err
				}()
				time.Sleep(time.Minute)
				_, err := b.repo.Document(b.Context(), "v1") // another request to the same host
				must(b, err)
				must(b, <-done)
				if d := time.Since(begin); d < time.Hour || d > time.Hour+2*time.Second {
					b.Errorf("took %v", d)
				}
				w := b.events.of(event.Waiting)
				if len(w) != 1 || w[0].Host != b.r.Host || w[0].Wait < 59*time.Minute || !strings.Contains(w[0].Text, "until ") {
					b.Errorf("reported %v", w)
				}
			}, func(_ *testbed.Options, o *remote.Options) { o.MaxWait = 2 * time.Hour })
		})
	}
}

func TestF16AWaitBeyondTheLongestIsAnErrorWithATime(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.TooMany("86400")}, func(b *bench) {
		begin := time.Now()
		_, err := b.repo.Resolve(b.Context(), "v1")
		wantKind(b, err, fault.Throttled)
		var f *fault.Fault
		until := begin.Add(24*time.Hour + time.Minute - 1).UTC().Format("2006-01-02 15:04 UTC")
		want := "resolve 127.0.0.1:5000/app:v1: throttled: the registry asks to wait until " + until +
			", which is longer than --max-wait 10m0s allows: the registry answers 429 Too Many Requests"
		if !errors.As(err, &f) || f.RetryAfter != 24*time.Hour || err.Error() != want {
			b.Errorf("%v, want %s", err, want)
		}
		if time.Since(begin) > time.Second {
			b.Error("it waited")
		}
	})
}

func TestF16ARegistryThatNeverStopsToRefuseHasAHint(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.TooMany("60")}, func(b *bench) {
		_, err := b.repo.Resolve(b.Context(), "v1")
		wantKind(b, err, fault.Throttled)
		if n := strings.Count(err.Error(), "/app:v1"); n != 1 || fault.HintOf(err) == "" {
			b.Errorf("%v (hint: %s)", err, fault.HintOf(err))
		}
	})
}

func TestF16AHeaderThatMakesNoSenseIsLeftToBackoff(t *testing.T) {
	for _, v := range []string{"-1", "soon", "", "Mon, 01 Jan 1990 00:00:00 GMT", "NaN"} {
		t.Run(v, func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.TooMany(v).Times(3)}, func(b *bench) {
				testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				begin := time.Now()
				_, err := b.repo.Resolve(b.Context(), "v1")
				must(b, err)
				if time.Since(begin) > 4*time.Second {
					b.Errorf("took %v", time.Since(begin))
				}
			})
		})
	}
}

func TestF18AServerInTroubleIsTriedAgainAndThenGivenUp(t *testing.T) {
	for _, code := range []int{500, 502, 503, 504, 408} {
		bubble(t, []*hostile.Fault{hostile.Status(code, nil, "").Times(5)}, func(b *bench) {
			testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
			_, err := b.repo.Document(b.Context(), "v1")
			must(b, err)
		})
		bubble(t, []*hostile.Fault{hostile.Status(code, nil, "")}, func(b *bench) {
			_, err := b.repo.Document(b.Context(), "v1")
			wantKind(b, err, fault.Unavailable)
			b.count("", "", 9)
			if code != 408 && !strings.Contains(err.Error(), http.StatusText(code)) {
				b.Error(err)
			}
		})
	}
}

func TestF19WhatCanNotHelpIsNotTriedAgain(t *testing.T) {
	for code, kind := range map[int]fault.Kind{501: fault.Refused, 505: fault.Refused, 400: fault.Refused, 406: fault.Refused, 204: fault.Refused, 206: fault.Refused, 507: fault.Full, 404: fault.NotFound, 403: fault.Denied} {
		bubble(t, []*hostile.Fault{hostile.Status(code, nil, "")}, func(b *bench) {
			_, err := b.repo.Document(b.Context(), "v1")
			wantKind(b, err, kind)
			b.count("", testbed.Manifest, 1)
		})
	}
}

func TestF19HeadThatIsNotAllowedBecomesGet(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Status(405, nil, "").On("HEAD", testbed.Manifest)}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		for range 2 {
			d, err := b.repo.Resolve(b.Context(), "v1")
			must(b, err)
			if d.Digest != img.Root.Digest || d.Size != img.Root.Size {
				b.Errorf("%v", d)
			}
		}
		b.count("HEAD", testbed.Manifest, 1)
	})
}

func TestF01AHostThatNeverAnsweredIsGivenUpSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, err := remote.New(remote.Options{CertDirs: []string{}, Dial: testbed.Dialer()})
		must(t, err)
		defer c.Close()
		e := &events{}
		r := c.Open(repo(&testbed.Registry{Host: "nobody.example"}, "app"), remote.Use{Observe: e.watch()})
		_, err = r.Resolve(context.Background(), "v1")
		wantKind(t, err, fault.Unavailable)
		if n := len(e.requests); n != 4 {
			t.Errorf("%d tries", n)
		}
	})
}

func TestACallerWhoGivesUpIsCanceledAtOnce(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.NoHeader(0)}, func(b *bench) {
		ctx, cancel := context.WithTimeout(b.Context(), time.Second)
		defer cancel()
		begin := time.Now()
		_, err := b.repo.Resolve(ctx, "v1")
		wantKind(b, err, fault.Canceled)
		if time.Since(begin) != time.Second {
			b.Errorf("after %v", time.Since(begin))
		}
	})
}

func TestF47F48ManifestsAreReadWithCare(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.WrongDigestHeader()}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		doc, err := b.repo.Document(b.Context(), "v1")
		must(b, err)
		if doc.Digest != img.Root.Digest || len(b.events.of(event.Noted)) != 1 {
			b.Errorf("%s, noted %d", doc.Digest, len(b.events.of(event.Noted)))
		}
		_, err = b.repo.Document(b.Context(), img.Digest())
		wantKind(b, err, fault.Corrupt)
		_, err = b.repo.Resolve(b.Context(), img.Digest())
		wantKind(b, err, fault.Corrupt)
	})
	bubble(t, []*hostile.Fault{hostile.NoDigestHeader()}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		d, err := b.repo.Resolve(b.Context(), "v1")
		must(b, err)
		if d.Digest != img.Root.Digest {
			b.Error(d.Digest)
		}
	})
	bubble(t, []*hostile.Fault{hostile.EndlessManifest()}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.TooLarge)
	})
	bubble(t, []*hostile.Fault{hostile.OtherManifest(oci.TypeManifest, []byte(`{"schemaVersion":2}`))}, func(b *bench) {
		img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		_, err := b.repo.Document(b.Context(), img.Digest())
		wantKind(b, err, fault.Corrupt)
	})
	bubble(t, []*hostile.Fault{hostile.WrongContentType(oci.TypeIndex)}, func(b *bench) {
		testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Refused)
	})
}

func TestF49Schema1IsRefusedAndNotCorrupt(t *testing.T) {
	mediaType, raw := testbed.Schema1()
	for name, faults := range map[string][]*hostile.Fault{
		"by its type":          {hostile.OtherManifest(mediaType, raw)},
		"by its bytes":         {hostile.OtherManifest("application/json", raw)},
		"under another digest": {hostile.WrongDigestHeader(), hostile.OtherManifest(mediaType, raw).On("", testbed.Manifest)},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, faults, func(b *bench) {
				img := testbed.Random(b, b.r, "app", "v1", testbed.RandomOptions{})
				for _, reference := range []string{"v1", img.Digest()} {
					_, err := b.repo.Document(b.Context(), reference)
					wantKind(b, err, fault.Refused)
					if !strings.Contains(err.Error(), "schema 1 of 2014") {
						b.Error(err)
					}
				}
				if name == "under another digest" {
					_, err := b.repo.Resolve(b.Context(), img.Digest())
					wantKind(b, err, fault.Refused)
				}
			})
		})
	}
}

func TestF59AMissingBlobIsNamed(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		_, d := noise(b, 1, 10)
		_, _, err := b.repo.Blob(b.Context(), d, 0, -1)
		wantKind(b, err, fault.NotFound)
		if !strings.Contains(err.Error(), string(d.Digest)) {
			b.Error(err)
		}
	})
}

func TestAnErrorQuotesTheRegistryInPrintableText(t *testing.T) {
	long := strings.Repeat("x", 300)
	body := `{"errors":[{"code":"DENIED","message":"no \u001b[31m\n way ` + long + `"}]}`
	bubble(t, []*hostile.Fault{hostile.Status(403, nil, body)}, func(b *bench) {
		_, err := b.repo.Document(b.Context(), "v1")
		wantKind(b, err, fault.Denied)
		if s := err.Error(); !strings.Contains(s, "403 DENIED: no [31m way xxx") || strings.ContainsRune(s, 0x1b) || len(s) > 350 {
			b.Error(s)
		}
	})
}

func TestF13ATrickleIsCut(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Trickle(100)}, func(b *bench) {
		_, d := b.store(1, mib)
		begin := time.Now()
		_, _, err := b.read(d, 0, -1)
		wantKind(b, err, fault.Unavailable)
		if took := time.Since(begin); took < 2*time.Minute || took > 3*time.Minute {
			b.Errorf("after %v: %v", took, err)
		}
	})
}

func TestF33F60NoNameThatIsNoneGetsIntoARequest(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		for _, bad := range []string{"..", "../x", "a/b", "", "a?b", "sha256:abc", "sha256:../../x", "a\r\nb"} {
			_, err := b.repo.Resolve(b.Context(), bad)
			wantKind(b, err, fault.Invalid)
			_, err = b.repo.Document(b.Context(), bad)
			wantKind(b, err, fault.Invalid)
			_, _, err = b.repo.Blob(b.Context(), oci.Descriptor{Digest: oci.Digest(bad), Size: 1}, 0, -1)
			wantKind(b, err, fault.Invalid)
		}
		b.count("", "", 0)
	})
}
