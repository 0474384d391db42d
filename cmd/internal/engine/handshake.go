package engine

import (
	"encoding/binary"
	"fmt"
	"strings"

	chproto "github.com/ClickHouse/ch-go/proto"

	"profilestream/cmd/internal/engine/chdb"
)

// identity is what the engine says about itself.
type identity struct {
	host, version, timezone string
}

func readIdentity(conn *chdb.Conn, host string) (identity, error) {
	result, err := conn.Query("SELECT version(), timezone()", "TabSeparated", nil)
	if err != nil {
		return identity{}, fmt.Errorf("asking the engine for its version: %w", err)
	}
	defer result.Free()
	version, timezone, ok := strings.Cut(strings.TrimSpace(string(result.Bytes())), "\t")
	if !ok {
		return identity{}, fmt.Errorf("asking the engine for its version: it answered %q", result.Bytes())
	}
	return identity{host: host, version: version, timezone: timezone}, nil
}

// handshake answers clickhouse-go's first statement as a Native block of its revision. The revision that it reports is
// 0, with which the client decodes the plain Native blocks that the engine writes.
func (id identity) handshake() []byte {
	var block chproto.Buffer
	block.Buf = append(block.Buf, nativeInfo...)
	block.PutUVarInt(4) // columns
	block.PutUVarInt(1) // rows
	column := func(name, kind string) {
		block.PutString(name)
		block.PutString(kind)
		block.PutBool(false) // no custom serialisation
	}
	column("displayName()", "String")
	block.PutString(id.host)
	column("version()", "String")
	block.PutString(id.version)
	column("revision()", "UInt32")
	block.Buf = binary.LittleEndian.AppendUint32(block.Buf, 0)
	column("timezone()", "String")
	block.PutString(id.timezone)
	return block.Buf
}
