# Apache Kafka's jars, resolved by Maven from e2e/kafka/pom.xml. Tests only.

needs_kafka() {
	need java "a Java runtime, 17 or newer: apt-get install default-jre-headless"
	need mvn "Maven: apt-get install maven"
}

install_kafka() {
	local version out
	version=$(pinned kafka version)
	out="$CACHE/stage/kafka/out/kafka/$version/libs"
	watched kafka "$(pinned kafka megabytes)" "$CACHE/stage/kafka" "$CACHE/stage/kafka/log" \
		mvn --quiet --batch-mode --strict-checksums --file "$ROOT/e2e/kafka/pom.xml" dependency:copy-dependencies \
		-DincludeScope=runtime "-DoutputDirectory=$out"
	[ "$(find "$out" -name '*.jar' | wc -l)" = "$(awk '$1 == "kafka"' "$SETUP/files.pins" | wc -l)" ] ||
		fail "kafka: Maven resolved other jars than .setup/files.pins lists."
	publish kafka "kafka/$version/libs"
}
