package access

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"

	"github.com/drayage/dray/fault"
)

// A certificate cannot be checked again later. Without an end, a session of a certificate could be
// exchanged for a new one forever.
func TestWhatACertificateGotIsNotTradedBeyondItsOwnEnd(t *testing.T) {
	ca, c := newAuthority(t), newClock()
	file := ca.file()
	a := open(t, Config{Clock: c.now, ClientCA: file})
	leaf := ca.sign(&x509.Certificate{Subject: pkix.Name{CommonName: "cn"}}, &ca.key.PublicKey)
	leaf.NotAfter = c.now().Add(time.Hour)
	r := request("")
	r.TLS = &tls.ConnectionState{VerifiedChains: [][]*x509.Certificate{{leaf}}}
	p, err := a.Authenticate(r)
	if err != nil {
		t.Fatal(err)
	}
	if _, ends, _ := a.Issue(p, MaxSession, nil); !ends.Equal(leaf.NotAfter.Truncate(time.Second)) {
		t.Errorf("the session is valid until %v, the certificate until %v", ends, leaf.NotAfter)
	}
	jwt, first, err := a.Issue(p, 10*time.Minute, nil)
	if err != nil {
		t.Fatal(err)
	}
	c.add(9 * time.Minute)
	if p, err = a.Authenticate(request("Bearer " + jwt)); err != nil || p.Via != ViaCertificate {
		t.Fatal(p, err)
	}
	if _, ends, err := a.Issue(p, MaxSession, nil); err != nil || ends.After(first) {
		t.Errorf("the session was exchanged for one until %v, the first ended %v: %v", ends, first, err)
	}
	without := open(t, Config{Clock: c.now, DB: a.db, Vault: a.vault})
	if p, err := without.Authenticate(request("Bearer " + jwt)); !fault.Is(err, fault.Denied) {
		t.Errorf("a session of a certificate without a client CA: %+v %v", p, err)
	}
}

func TestWhatNobodyGotIsNothingOnceNoRuleNamesNobody(t *testing.T) {
	a := open(t, Config{Rules: []Rule{{Principals: []string{Anonymous}, Verbs: []string{"pull"}, Sources: []string{"**"}}}})
	jwt, _, err := a.Issue(Principal{Name: Anonymous, Role: Reader, Via: ViaNothing}, time.Hour, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(request("Bearer " + jwt)); err != nil {
		t.Fatal(err)
	}
	if p, err := open(t, Config{DB: a.db, Vault: a.vault}).Authenticate(request("Bearer " + jwt)); !fault.Is(err, fault.Denied) {
		t.Errorf("%+v %v", p, err)
	}
}
