package stage

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"profilestream/cmd/internal/config"
	"profilestream/stream/wire"
)

// Client connects to Kafka as the configuration says.
func Client(c *config.Config, log *slog.Logger) (*wire.Client, error) {
	t, err := TLS(c.Kafka.TLS, "kafka.tls")
	if err != nil {
		return nil, err
	}
	password := c.Kafka.SASL.Password.Reveal()
	if path := c.Kafka.SASL.PasswordFile; path != "" {
		if password, err = ReadSecret(path, "kafka.sasl.password_file"); err != nil {
			return nil, err
		}
	}
	cl, err := wire.NewClient(wire.Config{
		Brokers: c.Kafka.Brokers, TLS: t,
		SASL: wire.SASL{Mechanism: c.Kafka.SASL.Mechanism, User: c.Kafka.SASL.Username, Password: password},
		OnRetry: func(what string, err error) {
			log.Debug("trying again", "what", what, "error", err)
		},
	})
	if err != nil {
		return nil, &config.Error{Key: "kafka", Reason: err.Error()}
	}
	return cl, nil
}

// TLS builds the settings of an encrypted connection, nil where it is off.
func TLS(t config.TLS, key string) (*tls.Config, error) {
	if !t.Enabled {
		return nil, nil
	}
	out := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, &config.Error{Key: key + ".ca_file", Reason: err.Error()}
		}
		out.RootCAs = x509.NewCertPool()
		if !out.RootCAs.AppendCertsFromPEM(pem) {
			return nil, &config.Error{Key: key + ".ca_file", Reason: "holds no certificate in PEM"}
		}
	}
	if t.CertFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, &config.Error{Key: key + ".cert_file", Reason: err.Error()}
		}
		out.Certificates = []tls.Certificate{cert}
	}
	return out, nil
}

// ReadSecret reads a secret from a file, without the line's end.
func ReadSecret(path, key string) (string, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return "", &config.Error{Key: key, Reason: fmt.Sprintf("cannot read %s", path)}
	}
	return strings.TrimRight(string(b), "\r\n"), nil
}
