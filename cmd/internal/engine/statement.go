package engine

import "strings"

// insertion is an INSERT whose data follows it: the statement without its FORMAT clause, the data's format, and where
// in the text the data begins.
type insertion struct {
	sql, format string
	data        int
}

// parseInsertion recognises an INSERT that takes data in a format. "VALUES" counts at the very end only, where its rows
// are sent apart; with rows after it the engine takes the whole text as a statement, parameters included.
func parseInsertion(sql string) (insertion, bool) {
	words := scanner{sql: sql}
	if words.next() != "INSERT" || words.next() != "INTO" {
		return insertion{}, false
	}
	for {
		switch word := words.next(); word {
		case "", "SELECT", "WITH", "FROM":
			return insertion{}, false
		case "VALUES":
			if strings.Trim(sql[words.end:], "; \t\r\n") != "" {
				return insertion{}, false
			}
			return insertion{sql: sql[:words.start], format: "Values", data: len(sql)}, true
		case "FORMAT":
			clause := words.start
			if words.next() == "" {
				return insertion{}, false
			}
			return insertion{
				sql:    sql[:clause],
				format: sql[words.start:words.end],
				data:   words.end + separatorLen(sql[words.end:]),
			}, true
		}
	}
}

// separatorLen is the length of what parts the FORMAT clause from the data: blanks, a semicolon, one line end.
func separatorLen(rest string) int {
	n := len(rest) - len(strings.TrimLeft(rest, " \t;"))
	if strings.HasPrefix(rest[n:], "\r\n") {
		return n + 2
	}
	if strings.HasPrefix(rest[n:], "\n") {
		return n + 1
	}
	return n
}

// isSelect holds for statements that can be streamed.
func isSelect(sql string) bool {
	words := scanner{sql: strings.TrimLeft(sql, "( \t\r\n")}
	word := words.next()
	return word == "SELECT" || word == "WITH"
}

// isSystem holds for SYSTEM ..., which needs no session.
func isSystem(sql string) bool {
	words := scanner{sql: sql}
	return words.next() == "SYSTEM"
}

// stopsEngine holds for the statements that would end the process under its other clients.
func stopsEngine(sql string) bool {
	words := scanner{sql: sql}
	if words.next() != "SYSTEM" {
		return false
	}
	word := words.next()
	return word == "SHUTDOWN" || word == "KILL"
}

// outputFormat is the format of the statement's own FORMAT clause, or "".
func outputFormat(sql string) string {
	format := ""
	words := scanner{sql: sql}
	for word := words.next(); word != ""; word = words.next() {
		if word != "FORMAT" {
			continue
		}
		after := words
		if after.next() == "" {
			break
		}
		name := sql[after.start:after.end]
		if end := after.next(); end == "" || end == ";" || end == "SETTINGS" {
			format = name
		}
	}
	return format
}

// isHandshake holds for the statement with which clickhouse-go begins a connection.
func isHandshake(sql string) bool {
	return strings.TrimRight(strings.TrimSpace(sql), ";") == "SELECT displayName(), version(), revision(), timezone()"
}
