package remote_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/drayage/dray/credential"
	"github.com/drayage/dray/event"
	"github.com/drayage/dray/fault"
	"github.com/drayage/dray/internal/hostile"
	"github.com/drayage/dray/internal/ledger"
	"github.com/drayage/dray/internal/remote"
	"github.com/drayage/dray/internal/testbed"
	"github.com/drayage/dray/oci"
	"github.com/drayage/dray/ref"
)

// state is a state directory and the processes that use it one after the other.
type state struct {
	*bench
	dir     string
	options *remote.Options
}

// remembering is bubble with a state directory.
func remembering(t *testing.T, faults []*hostile.Fault, test func(s *state), changes ...func(*testbed.Options, *remote.Options)) {
	t.Helper()
	s := &state{dir: t.TempDir()}
	changes = append(changes, func(_ *testbed.Options, o *remote.Options) {
		o.Uploads = ledger.NewUploads(s.dir)
		s.options = o
	})
	bubble(t, faults, func(b *bench) {
		s.bench = b
		test(s)
	}, changes...)
}

// next starts the next process on the state directory.
func (s *state) next() {
	s.Helper()
	s.client.Close()
	o := *s.options
	o.Uploads = ledger.NewUploads(s.dir)
	c, err := remote.New(o)
	must(s, err)
	s.Cleanup(c.Close)
	s.client, s.events = c, &events{}
	s.repo = c.Open(repo(s.r, "app"), remote.Use{Actions: remote.Push, Observe: s.events.watch()})
}

// cutAt sends data until n bytes were read, and is canceled there.
func (s *state) cutAt(n int64, data []byte, d oci.Descriptor) {
	s.Helper()
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	_, err := s.repo.Put(ctx, d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(data[at:n]), giveUp(cancel))), nil
	})
	wantKind(s, err, fault.Canceled)
}

// giveUp is a source that cancels the whole Put when it is read.
type giveUp context.CancelFunc

func (g giveUp) Read([]byte) (int, error) { g(); return 0, errors.New("given up") }

// bulk returns a large blob that is cheap to make.
func bulk(size int64) ([]byte, oci.Descriptor) {
	data := make([]byte, size)
	copy(data, "not all zeros")
	return data, oci.Descriptor{MediaType: "application/octet-stream", Digest: oci.Sum(data), Size: size}
}

// records counts the files in the state directory that are about uploads.
func (s *state) records() int {
	s.Helper()
	uploads, _ := s.recorded()
	return uploads
}

// recorded counts the files in the state directory, without the key: those about uploads, and those about repositories
// that are being filled.
func (s *state) recorded() (uploads, filled int) {
	s.Helper()
	entries, err := os.ReadDir(filepath.Join(s.dir, "uploads"))
	if err != nil && !os.IsNotExist(err) {
		s.Fatal(err)
	}
	for _, e := range entries {
		info, err := e.Info()
		must(s, err)
		if info.Size() == 0 && filepath.Ext(e.Name()) == "" {
			filled++
		} else {
			uploads++
		}
	}
	return uploads, filled
}

func TestAnUploadThatIsGivenUpStaysForTheNextProcess(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(20 * mib)
		s.cutAt(17*mib, data, d)
		s.count("DELETE", testbed.Upload, 0)
		if s.records() == 0 {
			s.Fatal("nothing was recorded")
		}
		s.next()
		var from []int64
		a, err := s.repo.Put(s.Context(), d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
			from = append(from, at)
			return io.NopCloser(bytes.NewReader(data[at:])), nil
		})
		must(s, err)
		in, _ := s.r.Sent("", testbed.Upload)
		if in != d.Size || a.Sent >= 4*mib || a.Sent < 3*mib {
			s.Errorf("%d bytes arrived, the last process sent %d", in, a.Sent)
		}
		if len(from) != 1 || from[0] != 16*mib {
			s.Errorf("read from %v", from)
		}
		s.count("POST", testbed.Upload, 1)
		if s.records() != 0 || len(s.events.of(event.Noted)) != 0 {
			s.Errorf("%d files are left, noted %v", s.records(), s.events.of(event.Noted))
		}
	})
}

// The upload is interrupted after the session was opened and before the first mark. The hash starts
// from the beginning, and no byte is sent twice.
func TestAnUploadThatWasCutBeforeItsFirstMarkGoesOn(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(20 * mib)
		s.cutAt(5*mib, data, d)
		s.next()
		var from []int64
		_, err := s.repo.Put(s.Context(), d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
			from = append(from, at)
			return io.NopCloser(bytes.NewReader(data[at:])), nil
		})
		must(s, err)
		if in, _ := s.r.Sent("", testbed.Upload); in != d.Size || len(from) != 1 || from[0] != 0 {
			s.Errorf("%d bytes arrived, read from %v", in, from)
		}
		s.count("POST", testbed.Upload, 1)
	})
}

func TestWithoutAStateAnUploadThatIsGivenUpIsCanceled(t *testing.T) {
	bubble(t, nil, func(b *bench) {
		data, d := bulk(20 * mib)
		(&state{bench: b}).cutAt(17*mib, data, d)
		b.count("DELETE", testbed.Upload, 1)
	})
}

func TestASmallUploadIsNotRecorded(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(16*mib - 1)
		s.cutAt(9*mib, data, d)
		s.count("DELETE", testbed.Upload, 1)
		if s.records() != 0 {
			s.Error("it was")
		}
	})
}

// Only the closing request is missing. No byte is sent, and the digest is verified nevertheless.
func TestAnUploadOfWhichEverythingArrivedIsOnlyClosed(t *testing.T) {
	var cancel context.CancelFunc
	stop := hostile.Status(500, nil, "").On("PUT", testbed.Upload).When(func(*http.Request) bool { cancel(); return true }).Once()
	remembering(t, []*hostile.Fault{stop}, func(s *state) {
		data, d := bulk(20 * mib)
		var ctx context.Context
		ctx, cancel = context.WithCancel(s.Context())
		_, err := s.repo.Put(ctx, d, nil, opener(data))
		wantKind(s, err, fault.Canceled)
		s.next()
		s.r.Reset()
		var from []int64
		_, err = s.repo.Put(s.Context(), d, nil, func(_ context.Context, at int64) (io.ReadCloser, error) {
			from = append(from, at)
			return io.NopCloser(bytes.NewReader(data[at:])), nil
		})
		must(s, err)
		if in, _ := s.r.Sent("", testbed.Upload); in != 0 || len(from) != 1 || from[0] != 16*mib {
			s.Errorf("%d bytes arrived again, read from %v", in, from)
		}
	}, with(credential.Settings{PlainHTTP: true, ChunkSize: 8 * mib}))
}

func TestAnUploadThatCanNotGoOnIsBegunAnewAndItIsToldWhatThatCosts(t *testing.T) {
	rows := map[string]struct {
		fault   *hostile.Fault
		host    credential.Settings
		deletes int
	}{
		"the registry lost it":       {fault: hostile.Error(404, "BLOB_UPLOAD_UNKNOWN", "").On("GET", testbed.Upload)},
		"docker-registry 2.8.2":      {fault: hostile.Error(404, "BLOB_UPLOAD_INVALID", "").On("GET", testbed.Upload)},
		"it says more than the blob": {fault: hostile.Header("Range", "0-999999999").On("GET", testbed.Upload), deletes: 1},
		"it says nothing":            {fault: hostile.Header("Range", "").On("GET", testbed.Upload), deletes: 1},
		"its word is worth nothing":  {host: credential.Settings{Kind: "ecr"}, deletes: 1},
	}
	for name, row := range rows {
		t.Run(name, func(t *testing.T) {
			row.host.PlainHTTP = true
			var faults []*hostile.Fault
			if row.fault != nil {
				faults = append(faults, row.fault)
			}
			remembering(t, faults, func(s *state) {
				data, d := bulk(16*mib + 1)
				must(s, s.leave(d, 2))
				a, err := s.send(data, d)
				must(s, err)
				noted := s.events.of(event.Noted)
				if a.Sent != d.Size || len(noted) != 1 || !strings.Contains(noted[0].Text, ": 16 MiB are sent again: the registry ") {
					s.Errorf("%+v, noted %v", a, noted)
				}
				s.count("DELETE", testbed.Upload, row.deletes)
				if s.records() != 0 {
					s.Error("the record was not removed")
				}
			}, with(row.host))
		})
	}
}

// A registry that reports more bytes than it has costs a few requests, but no byte is lost.
func TestARegistryThatTakesLessThanItSaysGetsTheBlobAnew(t *testing.T) {
	remembering(t, []*hostile.Fault{hostile.Header("Range", "0-9999999").On("GET", testbed.Upload)}, func(s *state) {
		data, d := bulk(16 * mib)
		must(s, s.leave(d, 1))
		a, err := s.send(data, d)
		must(s, err)
		s.count("POST", testbed.Upload, 1)
		if a.Sent < d.Size {
			s.Errorf("%+v", a)
		}
	})
}

// leave opens a session at the registry and records it with n marks of wrong bytes, none of which
// was sent.
func (s *state) leave(d oci.Descriptor, n int) error {
	s.Helper()
	resp := s.r.Direct(s, "POST", "/v2/app/blobs/uploads/", nil, nil, nil)
	at := resp.Header.Get("Location")
	if strings.HasPrefix(at, "/") {
		at = s.r.URL + at
	}
	return s.record(d, at, n)
}

func (s *state) record(d oci.Descriptor, session string, marks int) error {
	s.Helper()
	u, err := ledger.NewUploads(s.dir).Claim(ledger.Key{Repo: repo(s.r, "app"), Digest: d.Digest}, d.Size)
	if err != nil {
		return err
	}
	defer u.Release()
	err = u.Begin(session)
	v, _ := oci.NewVerifier(d)
	for range marks {
		_, werr := v.Write(make([]byte, 8*mib))
		m, merr := v.Mark()
		err = errors.Join(err, werr, merr, u.Mark(m))
	}
	return err
}

// A recorded hash state that belongs to other bytes can only cost time.
func TestAWrongMarkNeverCommitsWrongBytes(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(20 * mib)
		s.cutAt(17*mib, data, d)
		key := ledger.Key{Repo: repo(s.r, "app"), Digest: d.Digest}
		u, err := ledger.NewUploads(s.dir).Claim(key, d.Size)
		must(s, err)
		session := u.Left().Session
		u.Release()
		must(s, s.record(d, session, 2))
		s.next()
		_, err = s.repo.Put(s.Context(), d, nil, opener(data))
		wantKind(s, err, fault.Corrupt)
		s.absent(d)
		s.count("DELETE", testbed.Upload, 1)
		if s.records() != 0 {
			s.Error("the wrong marks are still recorded")
		}
		_, err = s.send(data, d)
		must(s, err)
	})
}

// The recorded address is treated like any Location: at another host it gets no login, and an
// internal address is not reached.
func TestARecordedAddressGetsTheLoginOnlyAtHome(t *testing.T) {
	var asked []*http.Request
	remembering(t, nil, func(s *state) {
		elsewhere := testbed.Serve(s.T, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked = append(asked, r)
			w.WriteHeader(404)
		}), testbed.Options{Wire: testbed.Pipes, Host: "127.0.0.1:6000"})
		s.options.Dial = testbed.Dialer(s.r, elsewhere)
		data, d := bulk(16 * mib)
		for i, at := range []string{"http://127.0.0.1:6000/v2/app/blobs/uploads/1", "http://169.254.169.254/latest", "ftp://127.0.0.1/x", "://"} {
			s.next()
			must(s, s.record(d, at, 1))
			must(s, s.put(data, d))
			s.r.Direct(s, "DELETE", "/v2/app/blobs/"+string(d.Digest), nil, nil, nil)
			if len(asked) != 1 || asked[0].Header.Get("Authorization") != "" || asked[0].Method != "GET" {
				s.Fatalf("%d: %s: asked %d times", i, at, len(asked))
			}
			if len(s.events.of(event.Noted)) != 1 {
				s.Errorf("%s: %v", at, s.events.of(event.Noted))
			}
		}
	}, func(o *testbed.Options, _ *remote.Options) {
		o.Auth = testbed.Auth{Mode: testbed.Basic, Users: map[string]string{"user": testbed.Password}}
	})
}

func (s *state) put(data []byte, d oci.Descriptor) error {
	_, err := s.repo.Put(s.Context(), d, nil, opener(data))
	return err
}

func TestARefusedMountsSessionIsCanceledWhereTheRecordedOneGoesOn(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(20 * mib)
		s.cutAt(17*mib, data, d)
		s.next()
		a, err := s.repo.Put(s.Context(), d, []ref.Repo{repo(s.r, "other")}, opener(data))
		must(s, err)
		if a.Sent > 4*mib {
			s.Errorf("%+v", a)
		}
		s.count("DELETE", testbed.Upload, 1)
		s.count("POST", testbed.Upload, 2)
	})
}

func TestWhatArrivedInAnotherWayEndsTheRecordedUpload(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(20 * mib)
		s.cutAt(17*mib, data, d)
		s.r.Blob(s, "app", d.MediaType, data)
		s.next()
		a, err := s.repo.Put(s.Context(), d, nil, opener(data))
		must(s, err)
		if a.Way != oci.Present || s.records() != 0 {
			s.Errorf("%+v, %d files are left", a, s.records())
		}
		s.count("DELETE", testbed.Upload, 1)
	})
}

func TestOfTwoProcessesTheSecondBeginsItsOwnUpload(t *testing.T) {
	remembering(t, nil, func(s *state) {
		data, d := bulk(20 * mib)
		u, err := ledger.NewUploads(s.dir).Claim(ledger.Key{Repo: repo(s.r, "app"), Digest: d.Digest}, d.Size)
		must(s, err)
		defer u.Release()
		_, err = s.send(data, d)
		must(s, err)
		s.count("POST", testbed.Upload, 1)
	})
}

func TestAStateThatDoesNotWorkIsToldOnceAndFailsNothing(t *testing.T) {
	remembering(t, nil, func(s *state) {
		file := filepath.Join(s.dir, "file")
		must(s, os.WriteFile(file, nil, 0o600))
		s.dir = filepath.Join(file, "state")
		s.next()
		for more := range int64(2) {
			data, d := bulk(16*mib + more)
			_, err := s.send(data, d)
			must(s, err)
		}
		noted := s.events.of(event.Noted)
		if len(noted) != 1 || !strings.Contains(noted[0].Text, file) {
			s.Error(noted)
		}
	})
}

func TestARepositoryWithoutTagsIsLookedIntoWhereAProcessWasKilled(t *testing.T) {
	remembering(t, nil, func(s *state) {
		_, first := s.store(1, 10)
		var list []oci.Descriptor
		for i := range 5 {
			_, d := noise(s, uint64(i+1), 10)
			list = append(list, d)
		}
		missing, err := s.repo.Missing(s.Context(), list)
		must(s, err)
		if len(missing) != 5 {
			s.Fatalf("%d blobs are missing", len(missing)) // the repository was assumed to be empty
		}
		s.next()
		missing, err = s.repo.Missing(s.Context(), list)
		must(s, err)
		if len(missing) != 4 || missing[0].Digest == first.Digest {
			s.Errorf("%d blobs are missing", len(missing))
		}
		put(s, s.repo, "v1")
		if uploads, filled := s.recorded(); uploads+filled != 0 {
			s.Error("the repository has a tag but is still recorded as being filled")
		}
	})
}

// If mounts tell which blobs exist, it is not asked whether the repository is empty. The repository
// is recorded nevertheless.
func TestARepositoryThatWasFilledByMountsIsLookedIntoWhereAProcessWasKilled(t *testing.T) {
	remembering(t, nil, func(s *state) {
		writing := s.client.Open(repo(s.r, "app"), remote.Use{Actions: remote.Push, Writing: always})
		data, d := bulk(16 * mib)
		list := []oci.Descriptor{d}
		for i := range 4 {
			_, small := noise(s, uint64(i+1), 10)
			list = append(list, small)
		}
		_, err := writing.Missing(s.Context(), list)
		must(s, err)
		_, err = writing.Put(s.Context(), d, nil, opener(data))
		must(s, err)
		s.next()
		missing, err := s.repo.Missing(s.Context(), list)
		must(s, err)
		if len(missing) != 4 {
			s.Errorf("%d blobs are missing", len(missing))
		}
		put(s, s.repo, "v1")
		if uploads, filled := s.recorded(); uploads+filled != 0 {
			s.Error("the repository has a tag but is still recorded as being filled")
		}
	})
}

// Few blobs are asked for one by one, and it is not asked whether the repository is empty.
func TestARepositoryThatGotFewBlobsIsLookedIntoWhereAProcessWasKilled(t *testing.T) {
	remembering(t, nil, func(s *state) {
		var list []oci.Descriptor
		for i := range 5 {
			data, d := noise(s, uint64(i+1), 10)
			if list = append(list, d); i > 1 {
				continue
			}
			_, err := s.repo.Put(s.Context(), d, nil, opener(data))
			must(s, err)
		}
		s.next()
		missing, err := s.repo.Missing(s.Context(), list)
		must(s, err)
		if len(missing) != 3 {
			s.Errorf("%d blobs are missing", len(missing))
		}
		put(s, s.repo, "v1")
		if uploads, filled := s.recorded(); uploads+filled != 0 {
			s.Error("the repository has a tag but is still recorded as being filled")
		}
	})
}
