package credential

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
)

// The algorithms of RFC 7518 §3.1 that the token services of the clouds accept.
const (
	rs256 = "RS256"
	ps256 = "PS256"
)

var (
	errNoKey     = errors.New("no unencrypted RSA private key in PEM format")
	errNoCert    = errors.New("no certificate for the key in PEM format")
	errShortKey  = errors.New("the RSA key is shorter than 2048 bits")
	errKeyFormat = errors.New("the RSA key cannot be read")
)

// signJWT returns a JWS in compact form (RFC 7515 §7.1). It adds "alg" and "typ" to header.
func signJWT(key *rsa.PrivateKey, alg string, header, claims map[string]any) (string, error) {
	header["alg"], header["typ"] = alg, "JWT"
	h, err := json.Marshal(header)
	if err != nil {
		return "", err
	}
	c, err := json.Marshal(claims)
	if err != nil {
		return "", err
	}
	enc := base64.RawURLEncoding
	text := enc.EncodeToString(h) + "." + enc.EncodeToString(c)
	sum := sha256.Sum256([]byte(text))
	var sig []byte
	if alg == ps256 {
		salted := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}
		sig, err = rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], salted)
	} else {
		sig, err = rsa.SignPKCS1v15(nil, key, crypto.SHA256, sum[:])
	}
	if err != nil {
		return "", err
	}
	return text + "." + enc.EncodeToString(sig), nil
}

// rsaKey returns the first RSA key among the PEM blocks of data, in PKCS #8 or PKCS #1. Errors never contain
// text of data.
func rsaKey(data []byte) (*rsa.PrivateKey, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		var parsed any
		var err error
		switch {
		case block.Headers["DEK-Info"] != "":
			continue
		case block.Type == "PRIVATE KEY":
			parsed, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case block.Type == "RSA PRIVATE KEY":
			parsed, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			continue
		}
		if err != nil {
			return nil, errKeyFormat
		}
		key, ok := parsed.(*rsa.PrivateKey)
		switch {
		case !ok:
			continue
		case key.N.BitLen() < 2048:
			return nil, errShortKey
		}
		return key, nil
	}
	return nil, errNoKey
}

// certOf returns the certificate for key among the PEM blocks of data.
func certOf(data []byte, key *rsa.PrivateKey) (*x509.Certificate, error) {
	for block, rest := pem.Decode(data); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if cert, err := x509.ParseCertificate(block.Bytes); err == nil && key.PublicKey.Equal(cert.PublicKey) {
			return cert, nil
		}
	}
	return nil, errNoCert
}
