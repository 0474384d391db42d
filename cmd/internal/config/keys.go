package config

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Keys are the values of all dotted keys, as LoadWith takes them. Secrets are
// left out.
func (c *Config) Keys() map[string]string {
	out := map[string]string{}
	walk(reflect.ValueOf(c).Elem(), "", func(key string, v reflect.Value) {
		switch x := v.Interface().(type) {
		case Secret:
		case []string:
			out[key] = strings.Join(x, ",")
		case map[string]string:
			pairs := make([]string, 0, len(x))
			for k, s := range x {
				pairs = append(pairs, k+"="+s)
			}
			slices.Sort(pairs)
			out[key] = strings.Join(pairs, ",")
		default:
			out[key] = fmt.Sprint(x)
		}
	})
	return out
}
