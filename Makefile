# A short front for Meson. Every target first installs what is missing (packaging/install-deps.sh).
prefix ?= $(or $(PREFIX),/usr/local)
BUILD := build
ASAN := build-asan
MESON := $(or $(wildcard /usr/bin/meson),meson)
SAN_ENV = ASAN_OPTIONS=$${ASAN_OPTIONS:-detect_stack_use_after_return=1} UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1

build: deps-build $(BUILD)/build.ninja
	@ninja -C $(BUILD)

demo: deps-demo build
	@demo/run

check: deps-test build
	@tests/run

check-long: deps-test build
	@tests/run --long

bench: deps-bench build
	@bench/run

install: build
	@$(MESON) configure $(BUILD) -Dprefix=$(prefix)
	@ninja -C $(BUILD)
	@$(MESON) install -C $(BUILD) --no-rebuild $(if $(DESTDIR),--destdir $(DESTDIR))

sanitize: deps-test $(ASAN)/build.ninja
	@ninja -C $(ASAN)
	@$(SAN_ENV) OPSTOWER=$(ASAN)/opstower tests/run --build $(ASAN) $(if $(LONG),--long)

clean:
	@rm -rf $(BUILD) $(ASAN)

deps-%:
	@packaging/install-deps.sh $*

$(BUILD)/build.ninja:
	@$(MESON) setup $(BUILD) --prefix=$(prefix) --buildtype=release -Db_ndebug=false

$(ASAN)/build.ninja:
	@$(MESON) setup $(ASAN) --buildtype=debugoptimized -Db_ndebug=false -Db_sanitize=address,undefined

.PHONY: build demo check check-long bench install sanitize clean
.NOTPARALLEL:
