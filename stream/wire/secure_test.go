package wire

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	kafka "github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"profilestream/stream/kafkatest"
)

// certificate returns a server certificate for 127.0.0.1 and the pool that trusts it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "kafka"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.ParseIP("127.0.0.1")}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(cert)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLSAndSASL(t *testing.T) {
	cert, pool := certificate(t)
	b := kafkatest.Fake(t, kfake.EnableSASL(), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}}),
		kfake.Superuser("PLAIN", "ann", "secret1"), kfake.Superuser("SCRAM-SHA-256", "bob", "secret2"), kfake.Superuser("SCRAM-SHA-512", "cy", "secret3"))
	for _, s := range []SASL{{"plain", "ann", "secret1"}, {"scram-sha-256", "bob", "secret2"}, {"scram-sha-512", "cy", "secret3"}} {
		t.Run(s.Mechanism, func(t *testing.T) {
			c := newClient(t, b, func(cfg *Config) { cfg.SASL, cfg.TLS = s, &tls.Config{RootCAs: pool} })
			topic := newTopic(t, c, 1, nil)
			if _, err := c.NewProducer(topic, 0, ProducerConfig{}).Append(testContext(t), build("x")); err != nil {
				t.Fatal(err)
			}
			if got := readTo(t, c, topic, 0, 0, FetchConfig{}); len(got) != 1 {
				t.Errorf("%q", got)
			}
		})
	}
	t.Run("wrong password", func(t *testing.T) {
		c := newClient(t, b, func(cfg *Config) { cfg.SASL, cfg.TLS = SASL{"plain", "ann", "wrong"}, &tls.Config{RootCAs: pool} })
		// The in-process Kafka just closes the connection; a broker says why.
		b.Fake.ControlKey(int16(kmsg.SASLAuthenticate), func(req kmsg.Request) (kmsg.Response, error, bool) {
			b.Fake.KeepControl()
			res := req.ResponseKind().(*kmsg.SASLAuthenticateResponse)
			res.ErrorCode = int16(kafka.SASLAuthenticationFailed)
			return res, nil, true
		})
		_, err := c.Topics(shortContext(t))
		if err == nil || Classify(err) != Fatal || strings.Contains(err.Error(), "wrong") {
			t.Errorf("%v", err)
		}
	})
	t.Run("unknown authority", func(t *testing.T) {
		c := newClient(t, b, func(cfg *Config) { cfg.SASL, cfg.TLS = SASL{"plain", "ann", "secret1"}, &tls.Config{} })
		if _, err := c.Topics(shortContext(t)); err == nil || Classify(err) != Fatal {
			t.Errorf("%v", err)
		}
	})
}

func TestPasswordsAreNotPrinted(t *testing.T) {
	s := SASL{"plain", "ann", "hunter2"}
	if out := fmt.Sprintf("%v %+v %#v %s", s, s, s, s); strings.Contains(out, "hunter2") {
		t.Error(out)
	}
}

func TestConfigErrors(t *testing.T) {
	for name, cfg := range map[string]Config{
		"kafka.brokers":        {},
		"kafka.brokers:":       {Brokers: []string{"nohost"}},
		"kafka.sasl.mechanism": {Brokers: []string{"h:1"}, SASL: SASL{Mechanism: "kerberos"}},
	} {
		if _, err := NewClient(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestClasses(t *testing.T) {
	for _, c := range []struct {
		err  error
		want Class
	}{
		{context.DeadlineExceeded, Retryable}, {net.ErrClosed, Retryable}, {&net.OpError{Op: "dial", Err: errors.New("refused")}, Retryable},
		{ErrFenced, Fatal}, {ErrCorrupt, Poison}, {ErrMessageTooLarge, Poison}, {&OffsetOutOfRangeError{}, Fatal}, {errors.New("anything else"), Fatal},
	} {
		if got := Classify(fmt.Errorf("doing a thing: %w", c.err)); got != c.want {
			t.Errorf("%v: %v, want %v", c.err, got, c.want)
		}
	}
}

func shortContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}
