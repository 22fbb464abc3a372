package arm_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/arm"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/runtime"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/to"
	"github.com/Azure/azure-sdk-for-go/sdk/resourcemanager/containerregistry/armcontainerregistry"
)

// static is a token of dray as a credential of Azure's SDK.
type static string

func (s static) GetToken(context.Context, policy.TokenRequestOptions) (azcore.AccessToken, error) {
	return azcore.AccessToken{Token: string(s), ExpiresOn: time.Now().Add(time.Hour)}, nil
}

func (b *bench) sdk(token string) *armcontainerregistry.RegistriesClient {
	b.t.Helper()
	here := cloud.Configuration{
		ActiveDirectoryAuthorityHost: b.srv.URL + "/adfs",
		Services:                     map[cloud.ServiceName]cloud.ServiceConfiguration{cloud.ResourceManager: {Endpoint: b.srv.URL, Audience: b.srv.URL}},
	}
	c, err := armcontainerregistry.NewRegistriesClient("0f8fad5b-d9cb-469f-a165-70867728950e", static(token),
		&arm.ClientOptions{ClientOptions: policy.ClientOptions{Cloud: here, Transport: b.srv.Client()}})
	if err != nil {
		b.t.Fatal(err)
	}
	return c
}

func (b *bench) parameters(image string, mode armcontainerregistry.ImportMode, targets ...string) armcontainerregistry.ImportImageParameters {
	return armcontainerregistry.ImportImageParameters{
		Source:     &armcontainerregistry.ImportSource{RegistryURI: new(b.source.Host), SourceImage: new(image)},
		TargetTags: to.SliceOfPtrs(targets...), Mode: new(mode),
	}
}

// quick polls as often as the SDK allows.
var quick = &runtime.PollUntilDoneOptions{Frequency: time.Second}

func TestTheGoSDKImportsAndPollsUntilItIsDone(t *testing.T) {
	for name, hold := range map[string]time.Duration{"polled": 0, "at once": time.Minute} {
		b := start(t, options{hold: hold})
		c := b.sdk(b.token)
		p, err := c.BeginImportImage(t.Context(), "any", "production", b.parameters("library/app:v1", armcontainerregistry.ImportModeNoForce, "team/app:v1"), nil)
		if err != nil {
			t.Fatal(name, err)
		}
		if _, err := p.PollUntilDone(t.Context(), quick); err != nil {
			t.Fatal(name, err)
		}
		if got, want := b.digest("team/app:v1"), b.sourceDigest("v1"); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
		_, err = finish(t, c, b.parameters("library/app:v2", armcontainerregistry.ImportModeNoForce, "team/app:v1"))
		wantResponse(t, err, http.StatusConflict, "Conflict")
		if _, err := finish(t, c, b.parameters("library/app:v2", armcontainerregistry.ImportModeForce, "team/app:v1")); err != nil || b.digest("team/app:v1") != b.sourceDigest("v2") {
			t.Error(name, err)
		}
		_, err = finish(t, c, b.parameters("library/app:nothing", armcontainerregistry.ImportModeForce, "team/app:v1"))
		wantResponse(t, err, http.StatusNotFound, "ManifestUnknown")
	}
}

func finish(t *testing.T, c *armcontainerregistry.RegistriesClient, in armcontainerregistry.ImportImageParameters) (armcontainerregistry.RegistriesClientImportImageResponse, error) {
	t.Helper()
	p, err := c.BeginImportImage(t.Context(), "any", "production", in, nil)
	if err != nil {
		return armcontainerregistry.RegistriesClientImportImageResponse{}, err
	}
	return p.PollUntilDone(t.Context(), quick)
}

func wantResponse(t *testing.T, err error, status int, code string) {
	t.Helper()
	var r *azcore.ResponseError
	if !errors.As(err, &r) || r.StatusCode != status || r.ErrorCode != code {
		t.Errorf("got %v, want %d %s", err, status, code)
	}
}

func TestTheGoSDKResumesAnOperationFromItsToken(t *testing.T) {
	b := start(t, options{workers: "none"})
	p, err := b.sdk(b.token).BeginImportImage(t.Context(), "any", "production", b.parameters("library/app:v1", armcontainerregistry.ImportModeNoForce, "x:y"), nil)
	if err != nil {
		t.Fatal(err)
	}
	resume, err := p.ResumeToken()
	if err != nil {
		t.Fatal(err)
	}
	b.work()
	again, err := b.sdk(b.token).BeginImportImage(t.Context(), "", "", armcontainerregistry.ImportImageParameters{}, &armcontainerregistry.RegistriesClientBeginImportImageOptions{ResumeToken: resume})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := again.PollUntilDone(t.Context(), quick); err != nil || b.digest("x:y") == "" {
		t.Error(err)
	}
}

func TestTheGoSDKReadsRegistries(t *testing.T) {
	b := start(t, options{workers: "none"})
	c := b.sdk(b.token)
	var names []string
	for pager := c.NewListPager(nil); pager.More(); {
		page, err := pager.NextPage(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range page.Value {
			names = append(names, *r.Name+" "+*r.Properties.LoginServer+" "+string(*r.SKU.Name))
		}
	}
	if want := []string{"production " + b.target.Host + " Premium", "hubregistry " + b.source.Host + " Premium", "labeu " + b.host + " Premium"}; !slices.Equal(names, want) {
		t.Errorf("%q, want %q", names, want)
	}
	for _, name := range []string{"hub", "HubRegistry", "lab-eu", "labeu", "labeurope"} {
		r, err := c.Get(t.Context(), "any", name, nil)
		if err != nil || *r.Name != name || !strings.Contains(*r.ID, "/resourceGroups/any/") || *r.Properties.ProvisioningState != armcontainerregistry.ProvisioningStateSucceeded {
			t.Errorf("%s: %+v %v", name, r, err)
		}
	}
	_, err := c.Get(t.Context(), "any", "nobody", nil)
	wantResponse(t, err, http.StatusNotFound, "ResourceNotFound")
	_, err = b.sdk("dray_nonsense").Get(t.Context(), "any", "hub", nil)
	wantResponse(t, err, http.StatusUnauthorized, "AuthenticationFailed")
	n, err := c.CheckNameAvailability(t.Context(), armcontainerregistry.RegistryNameCheckRequest{Name: new("production"), Type: new("Microsoft.ContainerRegistry/registries")}, nil)
	if err != nil || *n.NameAvailable || *n.Reason != "AlreadyExists" {
		t.Errorf("%+v %v", n, err)
	}
	_, err = c.ListCredentials(t.Context(), "any", "production", nil)
	wantResponse(t, err, http.StatusBadRequest, "UnAuthorizedForCredentialOperations")
}
