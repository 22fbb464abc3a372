package limit

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/drayage/dray/credential"
)

// Draw describes one request to a function that shares a registry's limits among several processes
// (remote.Options.Draw).
type Draw struct {
	Host     string
	Identity string           // the user of the login, or its scheme if it has no user; "" means anonymous
	Class    credential.Class // never credential.All, which covers all classes; Manifests count as Writes, too
}

// allowance is a rate that a registry publishes: a number of requests of a class per period. If the
// number depends on the customer's tier, the values run from the highest to the lowest, and each
// 429 leads to the next one.
type allowance struct {
	class credential.Class
	per   time.Duration
	n     []float64
}

// allowances holds the rates by product, from the products' documentation of 2026: ACR's service
// limits by SKU (Premium, Standard, Basic), Alibaba's rate for its registry, and ECR's quota for
// PutImage. Docker Hub's pulls are counted by Pulls.
var allowances = map[string][]allowance{
	"acr": {
		{credential.Reads, time.Minute, []float64{10_000, 3_000, 1_000}},
		{credential.Writes, time.Minute, []float64{2_000, 500, 100}},
	},
	"ecr":     {{credential.Manifests, time.Second, []float64{10}}},
	"alibaba": {{credential.All, time.Second, []float64{15}}},
}

// Budgets holds the buckets of one host, by identity and class. It is safe for concurrent use.
type Budgets struct {
	host    string
	allowed []allowance

	mu   sync.Mutex
	each map[Draw]*bucket
}

// bucket is a token bucket. It refills evenly and holds at most a tenth of the allowance, so that
// no window of the registry's period sees more requests than allowed.
type bucket struct {
	allowance
	step int       // index of the value of n that applies
	left float64   // below 0 while requests wait
	at   time.Time // of the last refill
	told time.Time // end of the last wait that was reported
	calm time.Time // before this time, a further 429 teaches nothing
}

// NewBudgets returns the budgets of host: the rates that product publishes, or perSecond requests
// per second if that is not 0.
func NewBudgets(host, product string, perSecond float64) *Budgets {
	b := &Budgets{host: host, allowed: allowances[product], each: map[Draw]*bucket{}}
	if perSecond > 0 { // the configuration overrides the published rates
		b.allowed = []allowance{{credential.All, time.Second, []float64{perSecond}}}
	}
	return b
}

// Allowances returns the rates that apply now. Nil means that none is known.
func (b *Budgets) Allowances() []credential.Allowance {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []credential.Allowance
	for _, a := range b.allowed {
		now := credential.Allowance{Class: a.class, Per: a.per, N: a.n[0]}
		for key, k := range b.each {
			if key.Class == a.class {
				now.N = min(now.N, a.n[k.step])
			}
		}
		all = append(all, now)
	}
	return all
}

// None reports whether the host has no known rate.
func (b *Budgets) None() bool { return len(b.allowed) == 0 }

// Classes returns the classes of a request, which determine the buckets that it draws from.
func Classes(method, path string) [3]credential.Class {
	switch {
	case method == http.MethodGet || method == http.MethodHead:
		return [3]credential.Class{credential.All, credential.Reads}
	case method == http.MethodPut && strings.Contains(path, "/manifests/"):
		return [3]credential.Class{credential.All, credential.Writes, credential.Manifests}
	}
	return [3]credential.Class{credential.All, credential.Writes}
}

// Draw takes one request out of its buckets and returns how long to wait before sending it. news is
// the reason to report, or "".
func (b *Budgets) Draw(cs [3]credential.Class, identity string, now time.Time) (wait time.Duration, news string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.allowed {
		if a.class != cs[0] && a.class != cs[1] && a.class != cs[2] {
			continue
		}
		k := b.bucket(a, identity)
		d := k.take(now)
		if d <= wait {
			continue
		}
		wait, news = d, ""
		if until := now.Add(d); d >= time.Second && until.Sub(k.told) >= time.Second {
			k.told = until
			news = fmt.Sprintf("%s: the registry allows %v %s %s, waiting until %s",
				b.host, k.n[k.step], k.class, unit(k.per), Clock(until))
		}
	}
	return wait, news
}

func unit(d time.Duration) string {
	if d == time.Minute {
		return "a minute"
	}
	return "a second"
}

func (b *Budgets) bucket(a allowance, identity string) *bucket {
	key := Draw{b.host, identity, a.class}
	k := b.each[key]
	if k == nil {
		k = &bucket{allowance: a, left: max(1, a.n[0]/10)}
		b.each[key] = k
	}
	return k
}

// rate returns the allowed requests per second. Only 90 % of a published rate per minute is used,
// because registries do not measure as exactly as they document. A rate per second, such as a
// configured one, is used in full.
func (k *bucket) rate() float64 {
	r := k.n[k.step] / k.per.Seconds()
	if k.per == time.Minute {
		r *= 0.9
	}
	return r
}

// take removes one request from the bucket and returns the wait until it may be sent.
func (k *bucket) take(now time.Time) time.Duration {
	if !k.at.IsZero() {
		k.left = min(k.left+now.Sub(k.at).Seconds()*k.rate(), max(1, k.n[k.step]/10))
	}
	k.at = now
	k.left--
	if k.left >= 0 {
		return 0
	}
	return time.Duration(-k.left / k.rate() * float64(time.Second))
}

// Refused learns from a 429: the allowed rate is lower than assumed.
func (b *Budgets) Refused(cs [3]credential.Class, identity string, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.allowed {
		k := b.each[Draw{b.host, identity, a.class}]
		if k == nil || a.class != cs[0] && a.class != cs[1] && a.class != cs[2] || now.Before(k.calm) {
			continue
		}
		k.calm = now.Add(k.per) // the other requests of the same burst teach nothing more
		k.step = min(k.step+1, len(k.n)-1)
		k.left = min(k.left, 0)
	}
}
