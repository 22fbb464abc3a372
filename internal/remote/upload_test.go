package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

func TestAFreshBlobIsOnePostAndOnePut(t *testing.T) {
	for _, size := range []int64{0, 1, 64 << 10, 64<<10 + 1, 3 * mib} {
		bubble(t, nil, func(b *bench) {
			_, err := b.repo.Missing(b.Context(), []oci.Descriptor{{Digest: oci.Sum(nil)}, {Digest: oci.Sum([]byte("1"))}, {Digest: oci.Sum([]byte("2"))}})
			must(b, err)
			b.r.Reset()
			data, d := noise(b, 1, size)
			a, err := b.send(data, d)
			must(b, err)
			if a.Way != oci.Sent || a.Sent != size {
				b.Errorf("%+v", a)
			}
			b.count("", "", 2)
			b.count("PUT", testbed.Upload, 1)
			a, err = b.send(data, d)
			must(b, err)
			if a.Way != oci.Present {
				b.Errorf("%+v", a)
			}
			b.count("", "", 2)
		})
	}
}

func TestARepositoryThatDoesNotExistLacksEverythingForOneRequest(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		var list []oci.Descriptor
		for i := range 40 {
			_, d := noise(b, uint64(i), 10)
			list = append(list, d)
		}
		missing, err := b.repo.Missing(b.Context(), list)
		must(b, err)
		if len(missing) != 40 {
			b.Errorf("%d blobs are missing", len(missing))
		}
		b.count("", "", 1)
	})
}

func TestARepositoryWithoutTagsMayHoldBlobs(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Status(200, nil, `{"name":"app","tags":[]}`).On("GET", testbed.Tags)}, func(b *bench) {
		_, there := b.store(9, 10)
		var list []oci.Descriptor
		for i := range 20 {
			_, d := noise(b, uint64(i), 10)
			list = append(list, d)
		}
		missing, err := b.repo.Missing(b.Context(), list)
		must(b, err)
		if len(missing) != 19 || missing[9].Digest == there.Digest || missing[0].Digest != list[0].Digest {
			b.Errorf("%d blobs are missing", len(missing))
		}
		b.count("HEAD", testbed.Blob, 20)
	})
}

func TestF58BytesThatAreNotTheBlobsAreNeverCommitted(t *testing.T) {
	const size = 300 << 10
	for name, change := range map[string]func([]byte) []byte{
		"first byte":  func(p []byte) []byte { p[0] ^= 1; return p },
		"last byte":   func(p []byte) []byte { p[len(p)-1] ^= 1; return p },
		"one missing": func(p []byte) []byte { return p[:len(p)-1] },
		"one more":    func(p []byte) []byte { return append(p, 0) },
		"nothing":     func([]byte) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, nil, func(b *bench) {
				data, d := noise(b, 1, size)
				_, err := b.repo.Put(b.Context(), d, nil, opener(change(bytes.Clone(data))))
				wantKind(b, err, fault.Corrupt)
				b.absent(d)
				b.count("DELETE", testbed.Upload, 1)
				for _, q := range b.r.Log() {
					if q.Method == "PUT" && q.In > size-64<<10 {
						b.Errorf("%d bytes were sent, including the last ones", q.In)
					}
				}
			})
		})
	}
}

var errSource = errors.New("the source broke")

func TestAnErrorOfTheSourceComesBackAsItIs(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, 300<<10)
		opened := 0
		_, err := b.repo.Put(b.Context(), d, nil, func(context.Context, int64) (io.ReadCloser, error) {
			opened++
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[:100<<10]), broken{})), nil
		})
		if err != errSource || opened != 1 { //nolint:errorlint // the very same
			b.Errorf("%v, opened %d times", err, opened)
		}
		_, err = b.repo.Put(b.Context(), d, nil, func(context.Context, int64) (io.ReadCloser, error) { return nil, errSource })
		if err != errSource { //nolint:errorlint // the very same
			b.Error(err)
		}
		b.absent(d)
	})
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errSource }

func TestACutUploadGoesOnWhereTheRegistryStopped(t *testing.T) {
	cut := hostile.CutRequestAt(9*mib).On("PUT", testbed.Upload).Once()
	bubble(t, []*hostile.Fault{cut}, func(b *bench) {
		data, d := noise(b, 1, 12*mib)
		var from []int64
		a, err := b.repo.Put(b.Context(), d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
			from = append(from, at)
			return io.NopCloser(bytes.NewReader(data[at:])), nil
		})
		must(b, err)
		if len(from) != 2 || from[1] < mib || from[1] > 9*mib {
			b.Errorf("read from %v", from)
		}
		in, _ := b.r.Sent("", testbed.Upload)
		if in > 13*mib || a.Sent > 13*mib {
			b.Errorf("%d bytes arrived, %d were sent", in, a.Sent)
		}
		b.count("GET", testbed.Upload, 1)
		b.count("POST", testbed.Upload, 1)
	})
}

func TestF70ProgressRefillsTheBudgetOfAnUpload(t *testing.T) {
	cut := hostile.CutRequestAt(mib).When(func(r *http.Request) bool { return r.ContentLength > mib })
	bubble(t, []*hostile.Fault{cut}, func(b *bench) {
		data, d := noise(b, 1, 20*mib)
		_, err := b.send(data, d)
		must(b, err)
	}, func(_ *testbed.Options, o *remote.Options) { o.Retries = 2 })
}

func TestF68ALostSessionIsBegunAnew(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.DropRequestAt(mib).Once()}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("POST", testbed.Upload, 2)
	})
	bubble(t, []*hostile.Fault{hostile.Error(404, "BLOB_UPLOAD_UNKNOWN", "").On("PUT", testbed.Upload).Times(2)}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("POST", testbed.Upload, 3)
	})
	bubble(t, []*hostile.Fault{hostile.Error(404, "BLOB_UPLOAD_UNKNOWN", "").On("PUT", testbed.Upload)}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Unavailable)
	})
}

func TestF69A416IsRealigned(t *testing.T) {
	faults := []*hostile.Fault{hostile.CutRequestAt(mib).On("PUT", testbed.Upload).Once(), hostile.Error(416, "", "").On("PATCH", testbed.Upload).Once()}
	bubble(t, faults, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("GET", testbed.Upload, 2)
		b.count("POST", testbed.Upload, 1)
	})
}

func TestF70StatusRangesAreReadWithTolerance(t *testing.T) {
	for value, posts := range map[string]int{"bytes=0-1048575": 1, "0-1048575": 1, "": 2, "0-0": 2, "junk": 2, "0-99999999999": 2} {
		t.Run(value, func(t *testing.T) {
			faults := []*hostile.Fault{hostile.Header("Range", value).On("GET", testbed.Upload), hostile.CutRequestAt(mib).On("PUT", testbed.Upload).Once()}
			bubble(t, faults, func(b *bench) {
				data, d := noise(b, 1, 3*mib)
				_, err := b.send(data, d)
				must(b, err)
				b.count("POST", testbed.Upload, posts)
			})
		})
	}
}

func TestF73ALostAnswerIsLookedUp(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.LoseAnswer().On("PUT", testbed.Upload).Once()}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		a, err := b.send(data, d)
		must(b, err)
		if a.Sent != 3*mib {
			b.Errorf("sent %d", a.Sent)
		}
		b.count("PUT", testbed.Upload, 1)
	})
}

// The registry was still completing the upload when the blob was looked up; after that, the session
// is gone.
func TestF73ABlobThatLandsLateIsLookedUpAgain(t *testing.T) {
	late := hostile.Error(404, "BLOB_UNKNOWN", "").On("HEAD", testbed.Blob).Times(2)
	bubble(t, []*hostile.Fault{hostile.LoseAnswer().On("PUT", testbed.Upload).Once(), late}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("HEAD", testbed.Blob, 3)
		b.count("PUT", testbed.Upload, 1)
	})
}

func TestF18AClosingRequestThatFailsIsRepeated(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Status(500, nil, "").On("PUT", testbed.Upload).Times(3)}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		_, err := b.send(data, d)
		must(b, err)
	})
}

func TestF75ADigestThatTheRegistryFindsWrongIsSentOnceMore(t *testing.T) {
	refuse := hostile.Error(400, "DIGEST_INVALID", "no").On("PUT", testbed.Upload)
	bubble(t, []*hostile.Fault{refuse.Once()}, func(b *bench) {
		data, d := noise(b, 1, mib)
		_, err := b.send(data, d)
		must(b, err)
	})
	bubble(t, []*hostile.Fault{hostile.Error(400, "DIGEST_INVALID", "no").On("PUT", testbed.Upload)}, func(b *bench) {
		data, d := noise(b, 1, mib)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Corrupt)
		b.count("PUT", testbed.Upload, 2)
	})
}

func TestF76AFullTargetIsNamedAtOnce(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{
		"507": hostile.Status(507, nil, ""),
		"distribution 2": hostile.Status(500, http.Header{"Content-Type": {"application/json"}}, `{"errors":[{"code":"UNKNOWN","message":"unknown error",`+
			`"detail":{"DriverName":"filesystem","Enclosed":{"Op":"write","Path":"/var/lib/x","Err":28}}}]}`),
		"distribution 3": hostile.Status(500, http.Header{"Content-Type": {"application/json"}}, `{"errors":[{"code":"UNKNOWN","message":"unknown error",`+
			`"detail":{"driver":"filesystem","detail":"write /var/lib/x: no space left on device"}}]}`),
		"500 space": hostile.Error(500, "UNKNOWN", "write: no space left on device"),
		"403 quota": hostile.Error(403, "DENIED", "adding 1 MiB will exceed the configured quota"),
		"413 quota": hostile.Error(413, "DENIED", "storage quota"),
		"Harbor": hostile.Error(403, "DENIED", "adding 5.4 MiB of storage resource, which when updated to current usage of "+
			"9.8 GiB will exceed the configured upper limit of 10.0 GiB."),
		"GitLab":       hostile.Error(403, "DENIED", "the repository has exceeded its size limit"),
		"ACR":          hostile.Error(403, "DENIED", "The registry has reached its storage limit of 500 GB"),
		"DigitalOcean": hostile.Error(403, "DENIED", "registry contains 5 repositories, limit is 5"),
		"Artifactory":  hostile.Error(413, "UNKNOWN", "Datastore disk usage is too high"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{f.On("PUT", testbed.Upload)}, func(b *bench) {
				data, d := noise(b, 1, mib)
				_, err := b.repo.Put(b.Context(), d, nil, opener(data))
				wantKind(b, err, fault.Full)
				b.count("PUT", testbed.Upload, 1)
				if name == "Harbor" && !strings.Contains(err.Error(), "upper limit of 10.0 GiB") {
					b.Errorf("the limit is not named: %v", err)
				}
				if hint := fault.HintOf(err); !strings.Contains(hint, "make room at") {
					b.Errorf("hint %q", hint)
				}
			})
		})
	}
}

func TestF76AQuotaOfRequestsOrOfReadsIsNotAFullTarget(t *testing.T) {
	for name, tt := range map[string]struct {
		fault *hostile.Fault
		want  fault.Kind
	}{
		"Google's 429": {hostile.Error(429, "TOOMANYREQUESTS", "Quota exceeded for quota metric 'Requests per project per minute'"), fault.Throttled},
		"a rate":       {hostile.Error(403, "DENIED", "quota of 100 requests per minute"), fault.Denied},
		"a read":       {hostile.Error(403, "DENIED", "the egress quota is used up"), fault.Denied},
	} {
		bubble(t, []*hostile.Fault{tt.fault.On("GET", testbed.Manifest)}, func(b *bench) {
			_, err := b.repo.Document(b.Context(), "v1")
			if !fault.Is(err, tt.want) {
				b.Errorf("%s: %v", name, err)
			}
		}, func(_ *testbed.Options, o *remote.Options) { o.Retries = -1 })
	}
}

func TestF72ABodyThatIsTooLargeIsSentInPieces(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.TooLarge(3 * mib)}, func(b *bench) {
		data, d := noise(b, 1, 20*mib)
		_, err := b.send(data, d)
		must(b, err)
		b.r.Reset()
		data, d = noise(b, 2, 4*mib)
		_, err = b.send(data, d)
		must(b, err)
		b.count("PATCH", testbed.Upload, 2) // the chunk size is remembered: 2 MiB
	})
}

// noWholeBlobs refuses a PUT that has a body.
func noWholeBlobs(f *hostile.Fault) *hostile.Fault {
	return f.On("PUT", testbed.Upload).When(func(r *http.Request) bool { return r.ContentLength > 0 })
}

func TestF72ARefusedWholeBlobIsTriedOnceInChunksAndThatIsRemembered(t *testing.T) {
	for name, f := range map[string]*hostile.Fault{
		"404 of Artifactory": hostile.Error(404, "BLOB_UNKNOWN", "blob unknown to registry"),
		"404 without a code": hostile.Status(404, nil, "<html>"),
		"400":                hostile.Status(400, nil, ""),
		"400 upload":         hostile.Error(400, "BLOB_UPLOAD_INVALID", "no"),
		"405":                hostile.Error(405, "UNSUPPORTED", "no"),
		"411":                hostile.Error(411, "LENGTH", "no"),
		"413":                hostile.Status(413, nil, ""),
		"501":                hostile.Error(501, "UNSUPPORTED", "no"),
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{noWholeBlobs(f)}, func(b *bench) {
				began := time.Now()
				for seed, size := range []int64{1, 100 << 10, 3 * mib} {
					data, d := noise(b, uint64(seed), size)
					_, err := b.send(data, d)
					must(b, err)
				}
				if time.Since(began) > time.Millisecond || f.Fired() != 1 {
					b.Errorf("%d whole blobs were tried in %v", f.Fired(), time.Since(began))
				}
				b.count("POST", testbed.Upload, 4)
				b.count("DELETE", testbed.Upload, 1)
				notes := b.events.of(event.Noted)
				if len(notes) != 1 || !strings.Contains(notes[0].Text, "chunk-size") {
					b.Errorf("noted: %v", notes)
				}
			}, func(_ *testbed.Options, o *remote.Options) { o.Retries = -1 })
		})
	}
}

// What failed in chunks too teaches nothing: the next blob is tried whole again.
func TestF72ABlobThatIsRefusedWholeAndInChunksNamesBothAnswers(t *testing.T) {
	patch := hostile.Error(400, "UNSUPPORTED", "no chunks").On("PATCH", testbed.Upload)
	bubble(t, []*hostile.Fault{noWholeBlobs(hostile.Error(501, "UNSUPPORTED", "no body")), patch}, func(b *bench) {
		for seed := range uint64(2) {
			data, d := noise(b, seed, 1000)
			_, err := b.repo.Put(b.Context(), d, nil, opener(data))
			wantKind(b, err, fault.Refused)
			if s := err.Error(); !strings.Contains(s, "no chunks") || !strings.Contains(s, "no body") ||
				!strings.Contains(fault.HintOf(err), "chunk-size") {
				b.Errorf("%s (%s)", s, fault.HintOf(err))
			}
		}
		b.count("PATCH", testbed.Upload, 2)
		b.count("PUT", testbed.Upload, 2)
	})
}

func TestF72ARefusalWithAnotherCauseIsNoReasonForChunks(t *testing.T) {
	for _, code := range []string{"DIGEST_INVALID", "SIZE_INVALID", "BLOB_UPLOAD_UNKNOWN", "NAME_UNKNOWN", "DENIED"} {
		body := `{"errors":[{"code":"UNKNOWN"},{"code":"` + code + `"}]}`
		bubble(t, []*hostile.Fault{hostile.Status(400, nil, body).On("PUT", testbed.Upload)}, func(b *bench) {
			data, d := noise(b, 1, 1000)
			if _, err := b.repo.Put(b.Context(), d, nil, opener(data)); err == nil {
				b.Error("no error")
			}
			b.count("PATCH", testbed.Upload, 0)
		})
	}
	for name, set := range map[string]credential.Settings{"no chunks": {Kind: "gar"}, "the last chunk in the PUT": {Kind: "ecr"}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.Error(501, "UNSUPPORTED", "no").On("PUT", testbed.Upload)}, func(b *bench) {
				data, d := noise(b, 1, 1000)
				_, err := b.repo.Put(b.Context(), d, nil, opener(data))
				wantKind(b, err, fault.Refused)
				b.count("PATCH", testbed.Upload, 0)
			}, with(set))
		})
	}
}

func TestF11ATargetThatStopsReadingIsCut(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.StopReading(mib, 0).Once()}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		begin := time.Now()
		_, err := b.send(data, d)
		must(b, err)
		if took := time.Since(begin); took < 30*time.Second || took > 32*time.Second {
			b.Errorf("took %v", took)
		}
	})
}

func TestASlowSourceIsNoStallOfTheTarget(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, 200<<10)
		a, err := b.repo.Put(b.Context(), d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
			return io.NopCloser(&slow{bytes.NewReader(data[at:])}), nil
		})
		must(b, err)
		if a.Sent != d.Size {
			b.Errorf("%+v", a)
		}
		b.count("PUT", testbed.Upload, 1)
	})
}

// slow takes a minute for each read.
type slow struct{ *bytes.Reader }

func (s *slow) Read(p []byte) (int, error) {
	time.Sleep(time.Minute)
	return s.Reader.Read(p[:min(len(p), 40<<10)])
}

func TestTheClosingRequestMayTakeLongerByItsSize(t *testing.T) {
	thinks := func(s *testbed.Options, _ *remote.Options) {
		s.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					body, _ := io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(body))
					time.Sleep(32 * time.Second)
				}
				next.ServeHTTP(w, r)
			})
		}
	}
	for size, cut := range map[int64]bool{24 * mib: false, 8 * mib: true} {
		bubble(t, nil, func(b *bench) {
			data, d := noise(b, 1, size)
			_, _ = b.repo.Put(b.Context(), d, nil, opener(data))
			if n := b.r.Count("PUT", testbed.Upload); n > 1 != cut {
				b.Errorf("%d PUTs for %d bytes", n, size)
			}
		}, thinks)
	}
}

func TestF12TheAnswerToAnUploadMayBeginLaterWithEachTry(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, mib)
		_, err := b.send(data, d)
		must(b, err)
		b.count("PUT", testbed.Upload, 3)
	}, func(s *testbed.Options, _ *remote.Options) {
		s.Front = func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPut {
					body, _ := io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(body))
					select {
					case <-r.Context().Done():
						return
					case <-time.After(100 * time.Second):
					}
				}
				next.ServeHTTP(w, r)
			})
		}
	})
}

func TestF29ATokenThatEndsInMidUploadIsRenewed(t *testing.T) {
	bearer := func(s *testbed.Options, _ *remote.Options) { s.Auth = testbed.Auth{Mode: testbed.Bearer} }
	bubble(t, []*hostile.Fault{hostile.Early401().On("PUT", testbed.Upload).Once()}, func(b *bench) {
		data, d := noise(b, 1, 3*mib)
		a, err := b.repo.Put(b.Context(), d, nil, opener(data))
		must(b, err)
		if a.Way != oci.Sent || b.r.Issuer.Issued() != 2 {
			b.Errorf("%+v, %d tokens", a, b.r.Issuer.Issued())
		}
	}, bearer)
}

func TestF66MountingSavesTheBytes(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, mib)
		b.r.Blob(b, "base", d.MediaType, data)
		a, err := b.repo.Put(b.Context(), d, []ref.Repo{{Host: "elsewhere.example", Path: "base"}, repo(b.r, "base")}, opener(nil))
		must(b, err)
		if a.Way != oci.Mounted || a.From != "base" {
			b.Errorf("%+v", a)
		}
		b.count("HEAD", testbed.Blob, 1) // the first mount is looked after
		more, e := noise(b, 2, mib)
		b.r.Blob(b, "base", e.MediaType, more)
		a, err = b.repo.Put(b.Context(), e, []ref.Repo{repo(b.r, "base")}, opener(nil))
		must(b, err)
		if a.Way != oci.Mounted {
			b.Errorf("%+v", a)
		}
		b.count("", "", 3)
	})
}

func TestF66AMountThatIsRefusedFallsToUploadAndIsRemembered(t *testing.T) {
	for code, posts := range map[int]int{202: 2, 401: 3, 403: 3, 404: 3, 405: 3, 500: 3} {
		t.Run(http.StatusText(code), func(t *testing.T) {
			bubble(t, []*hostile.Fault{hostile.MountAnswers(code)}, func(b *bench) {
				for i := range 2 {
					data, d := noise(b, uint64(i), 10)
					b.r.Blob(b, "base", d.MediaType, data)
					a, err := b.repo.Put(b.Context(), d, []ref.Repo{repo(b.r, "base")}, opener(data))
					must(b, err)
					if a.Way != oci.Sent {
						b.Errorf("%+v", a)
					}
				}
				b.count("POST", testbed.Upload, posts)
				b.count("PUT", testbed.Upload, 2)
			})
		})
	}
}

func TestAfterARefusedMountALargeBlobIsLookedForBeforeItIsSent(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.MountAnswers(202)}, func(b *bench) {
		_, d := b.store(1, mib)
		a, err := b.repo.Put(b.Context(), d, []ref.Repo{repo(b.r, "base")}, opener(nil))
		must(b, err)
		if a.Way != oci.Present {
			b.Errorf("%+v", a)
		}
		b.count("DELETE", testbed.Upload, 1)
		b.count("PUT", testbed.Upload, 0)
	})
}

func TestF55OneBlobIsSentOnceHoweverManyWantIt(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, mib)
		var wg sync.WaitGroup
		var sent sync.Map
		for i := range 10 {
			r := b.repo
			if i%2 == 0 {
				r = b.client.Open(repo(b.r, "app"), remote.Use{Actions: remote.Push})
			}
			wg.Go(func() {
				a, err := r.Put(b.Context(), d, nil, opener(data))
				must(b, err)
				if a.Way == oci.Sent {
					sent.Store(i, true)
				}
			})
		}
		wg.Wait()
		n := 0
		sent.Range(func(any, any) bool { n++; return true })
		if n != 1 {
			b.Errorf("%d Puts sent the blob", n)
		}
		b.count("PUT", testbed.Upload, 1)
	})
}

func TestF74ABlobStoredAsSomethingElseIsNoSuccess(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.Header("Docker-Content-Digest", string(oci.Sum([]byte("other")))).On("PUT", testbed.Upload)}, func(b *bench) {
		data, d := noise(b, 1, mib)
		_, err := b.repo.Put(b.Context(), d, nil, opener(data))
		wantKind(b, err, fault.Corrupt)
	})
}

func TestAWaitOfAnUploadIsTold(t *testing.T) {
	bubble(t, []*hostile.Fault{hostile.TooMany("60").On("PUT", testbed.Upload).Once()}, func(b *bench) {
		data, d := noise(b, 1, mib)
		begin := time.Now()
		_, err := b.send(data, d)
		must(b, err)
		if time.Since(begin) < time.Minute || len(b.events.of(event.Waiting)) != 1 {
			b.Errorf("took %v", time.Since(begin))
		}
	})
}

func TestCuttingOffAnUploadEndsItAtOnce(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := noise(b, 1, mib)
		ctx, cancel := context.WithCancel(b.Context())
		begin := time.Now()
		_, err := b.repo.Put(ctx, d, nil, func(ctx context.Context, at int64) (io.ReadCloser, error) {
			time.AfterFunc(time.Second, cancel)
			return io.NopCloser(io.MultiReader(bytes.NewReader(data[:100]), until{ctx})), nil
		})
		wantKind(b, err, fault.Canceled)
		if time.Since(begin) > 2*time.Second {
			b.Errorf("after %v", time.Since(begin))
		}
		b.absent(d)
	})
}

// until blocks until its context ends.
type until struct{ ctx context.Context }

func (u until) Read([]byte) (int, error) {
	<-u.ctx.Done()
	return 0, u.ctx.Err()
}

func TestDockerRegistryTakesACutUploadAnew(t *testing.T) {
	reg := testbed.DockerRegistry(t, testbed.Options{Front: func(h http.Handler) http.Handler {
		return hostile.Wrap(h, hostile.CutRequestAt(mib).On("PUT", testbed.Upload).Once())
	}})
	r := client(t).Open(repo(reg, "app"), remote.Use{Actions: remote.Push})
	data, d := noise(t, 1, 3*mib)
	a, err := r.Put(t.Context(), d, nil, opener(data))
	must(t, err)
	body, _, err := r.Blob(t.Context(), d, 0, -1)
	must(t, err)
	defer body.Close()
	got, err := io.ReadAll(body)
	must(t, err)
	if a.Way != oci.Sent || !bytes.Equal(got, data) {
		t.Errorf("%+v, %d bytes", a, len(got))
	}
	if !strings.Contains(reg.Story(), "PUT") {
		t.Log(reg.Story())
	}
}
