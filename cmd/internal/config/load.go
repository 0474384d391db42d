package config

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"sort"
	"strconv"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/env/v2"
	"github.com/knadh/koanf/providers/file"
	"github.com/knadh/koanf/providers/structs"
	"github.com/knadh/koanf/v2"
)

const envPrefix = "PROFILESTREAM_"

// Error is a configuration error. Key is the dotted name of the key, or the
// path of a file that cannot be read.
type Error struct {
	Key    string
	Reason string
}

// Error names the key first.
func (e *Error) Error() string { return fmt.Sprintf("configuration: %s: %s", e.Key, e.Reason) }

// Load reads path (empty: defaults only), then the environment, and checks the
// result. Errors are of type *Error.
func Load(path string, environ []string) (*Config, error) { return LoadWith(path, environ, nil) }

// LoadWith is Load with values of dotted keys, written as in the environment, that
// win over both.
func LoadWith(path string, environ []string, over map[string]string) (*Config, error) {
	k := koanf.New(".")
	if err := k.Load(structs.Provider(Default(), "koanf"), nil); err != nil {
		return nil, fmt.Errorf("loading defaults: %w", err)
	}
	if path != "" {
		if err := loadFile(k, path); err != nil {
			return nil, err
		}
	}
	if err := loadEnv(k, environ); err != nil {
		return nil, err
	}
	if err := loadOver(k, over); err != nil {
		return nil, err
	}
	c, err := decode(k)
	if err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

func loadFile(k *koanf.Koanf, path string) error {
	f := koanf.New(".")
	if err := f.Load(file.Provider(path), yaml.Parser()); err != nil {
		if errors.Is(err, os.ErrNotExist) {
			return &Error{path, "no such file"}
		}
		return &Error{path, err.Error()}
	}
	keys := f.Keys()
	sort.Strings(keys)
	for _, key := range keys {
		if f.Get(key) == nil && isSection(key) {
			continue
		}
		if err := known(key); err != nil {
			return err
		}
	}
	for _, key := range keys {
		if v := f.Get(key); v != nil {
			if err := k.Set(key, v); err != nil {
				return &Error{key, err.Error()}
			}
		}
	}
	return nil
}

// known refuses what is no key.
func known(key string) error {
	if _, ok := keyKinds()[key]; ok || isRate(key) {
		return nil
	}
	if isSection(key) {
		return &Error{key, "must be a group of keys, not a value"}
	}
	return &Error{key, "unknown key"}
}

func loadOver(k *koanf.Koanf, over map[string]string) error {
	kinds := keyKinds()
	for key, v := range over {
		if err := known(key); err != nil {
			return err
		}
		var value any = v
		if kinds[key] == reflect.Map {
			value = parsePairs(v)
		}
		if err := k.Set(key, value); err != nil {
			return &Error{key, err.Error()}
		}
	}
	return nil
}

// Overrides reads the keys of a file as LoadWith takes them.
func Overrides(path string) (map[string]string, error) {
	k := koanf.New(".")
	if err := loadFile(k, path); err != nil {
		return nil, err
	}
	out := map[string]string{}
	for _, key := range k.Keys() {
		switch v := k.Get(key).(type) {
		case []any:
			words := make([]string, len(v))
			for i := range v {
				words[i] = fmt.Sprint(v[i])
			}
			out[key] = strings.Join(words, ",")
		default:
			out[key] = decimal(v)
		}
	}
	return out, nil
}

// loadEnv takes PROFILESTREAM_<SECTION>_<KEY>. A variable that names a section
// but no key in it is an error; other variables of the prefix are not ours.
func loadEnv(k *koanf.Koanf, environ []string) error {
	names := map[string]string{}
	for key := range keyKinds() {
		names[envPrefix+strings.ToUpper(strings.ReplaceAll(key, ".", "_"))] = key
	}
	var unknown error
	p := env.Provider(".", env.Opt{
		Prefix:      envPrefix,
		EnvironFunc: func() []string { return environ },
		TransformFunc: func(name, v string) (string, any) {
			key, ok := names[name]
			if !ok {
				rest := strings.ToLower(strings.TrimPrefix(name, envPrefix))
				if s, _, found := strings.Cut(rest, "_"); found && isSection(s) && unknown == nil {
					unknown = &Error{name, "unknown key"}
				}
				return "", nil
			}
			if keyKinds()[key] == reflect.Map {
				return key, parsePairs(v)
			}
			return key, v
		},
	})
	if err := k.Load(p, nil); err != nil {
		return fmt.Errorf("reading the environment: %w", err)
	}
	return unknown
}

// parsePairs reads "USD=0.79,EUR=0.86".
func parsePairs(v string) map[string]any {
	m := map[string]any{}
	for pair := range strings.SplitSeq(v, ",") {
		if k, x, _ := strings.Cut(strings.TrimSpace(pair), "="); k != "" {
			m[k] = x
		}
	}
	return m
}

// decode turns each leaf into its Go type on its own, so that an error names
// exactly one key.
func decode(k *koanf.Koanf) (*Config, error) {
	c := Default()
	var firstErr error
	walk(reflect.ValueOf(&c).Elem(), "", func(key string, v reflect.Value) {
		if firstErr != nil || !k.Exists(key) {
			return
		}
		raw := k.Get(key)
		if v.Kind() == reflect.Map {
			m := reflect.ValueOf(raw)
			if m.Kind() != reflect.Map {
				firstErr = &Error{key, fmt.Sprintf("must be a map of currency to rate, not %v", raw)}
				return
			}
			out := map[string]string{}
			for _, code := range m.MapKeys() {
				out[fmt.Sprint(code)] = decimal(m.MapIndex(code).Interface())
			}
			v.Set(reflect.ValueOf(out))
			return
		}
		if s, isText := raw.(string); v.Type() == reflect.TypeFor[time.Duration]() && !isText {
			if _, isDuration := raw.(time.Duration); !isDuration {
				firstErr = &Error{key, fmt.Sprintf("%v is no duration: give a unit, such as 30s", raw)}
				return
			}
		} else if v.Kind() == reflect.String && v.Type() != reflect.TypeFor[Secret]() && !isText {
			firstErr = &Error{key, fmt.Sprintf("%v is not a string", raw)}
			return
		} else if v.Kind() == reflect.Slice && isText && s == "" {
			v.Set(reflect.Zero(v.Type()))
			return
		}
		d, err := mapstructure.NewDecoder(&mapstructure.DecoderConfig{
			Result: v.Addr().Interface(), WeaklyTypedInput: true,
			DecodeHook: mapstructure.ComposeDecodeHookFunc(
				days,
				mapstructure.StringToTimeDurationHookFunc(),
				mapstructure.StringToSliceHookFunc(","),
				wholeNumber,
			),
		})
		if err == nil {
			err = d.Decode(raw)
		}
		if err != nil {
			firstErr = &Error{key, reason(raw, v)}
		}
	})
	return &c, firstErr
}

// decimal keeps a rate as it was written, without an exponent.
func decimal(v any) string {
	if f, ok := v.(float64); ok {
		return strconv.FormatFloat(f, 'f', -1, 64)
	}
	return fmt.Sprint(v)
}

// days reads a duration of whole days, such as 30d.
func days(_, to reflect.Type, data any) (any, error) {
	if s, ok := data.(string); ok && to == reflect.TypeFor[time.Duration]() && strings.HasSuffix(s, "d") {
		if n, err := strconv.ParseUint(strings.TrimSuffix(s, "d"), 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	return data, nil
}

func wholeNumber(_, to reflect.Type, data any) (any, error) {
	if f, ok := data.(float64); ok && to.Kind() == reflect.Int && f != float64(int(f)) {
		return nil, errors.New("not a whole number")
	}
	return data, nil
}

func reason(raw any, v reflect.Value) string {
	want := map[reflect.Kind]string{reflect.Int: "a whole number", reflect.Bool: "true or false", reflect.Slice: "a list", reflect.String: "text"}[v.Kind()]
	if v.Type() == reflect.TypeFor[time.Duration]() {
		want = "a duration, such as 30s"
	}
	if v.Type() == reflect.TypeFor[Secret]() {
		raw = redacted
	}
	return fmt.Sprintf("%v is not %s", raw, want)
}

// walk calls fn for every leaf of the configuration with its dotted key.
func walk(v reflect.Value, prefix string, fn func(key string, v reflect.Value)) {
	t := v.Type()
	for i := range t.NumField() {
		key := prefix + t.Field(i).Tag.Get("koanf")
		if t.Field(i).Type.Kind() == reflect.Struct {
			walk(v.Field(i), key+".", fn)
			continue
		}
		fn(key, v.Field(i))
	}
}

func keyKinds() map[string]reflect.Kind {
	kinds := map[string]reflect.Kind{}
	c := Default()
	walk(reflect.ValueOf(&c).Elem(), "", func(key string, v reflect.Value) { kinds[key] = v.Kind() })
	return kinds
}

func isRate(key string) bool { return strings.HasPrefix(key, "profile.rates.") }

func isSection(key string) bool {
	for k := range keyKinds() {
		if strings.HasPrefix(k, key+".") {
			return true
		}
	}
	return false
}
