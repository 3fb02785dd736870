// SPDX-License-Identifier: Apache-2.0
#include "hub/object_store/object_store.hpp"

#include <gtest/gtest.h>

#include <string>

#include "hub/test_environment.hpp"

namespace ferrule::hub {
namespace {

class Store : public testing::Test {
 protected:
  test::TestEnvironment environment{{{"AWS_ACCESS_KEY_ID", nullptr},
                                     {"AWS_SECRET_ACCESS_KEY", nullptr},
                                     {"AWS_SESSION_TOKEN", nullptr},
                                     {"AWS_REGION", nullptr},
                                     {"AWS_DEFAULT_REGION", nullptr},
                                     {"AWS_ENDPOINT_URL_S3", nullptr},
                                     {"AWS_ENDPOINT_URL", nullptr}}};
};

TEST_F(Store, IsKnownByItsScheme) {
  for (const auto* store : {"s3://b/a", "https://h/a", "http://h/a"}) {
    EXPECT_TRUE(is_object_store(store)) << store;
  }
  for (const auto* other : {"", "ann/a", "hf://ann/a", "s3:/b", "ftp://h/a"}) {
    EXPECT_FALSE(is_object_store(other)) << other;
  }
}

TEST_F(Store, OfS3HasABucketAndAPrefix) {
  const auto store = ObjectStore::open("s3://my-bucket/models/a b/");
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_EQ(store->name, "s3://my-bucket/models/a b");
  EXPECT_EQ(store->bucket, "my-bucket");
  EXPECT_EQ(store->prefix, "models/a b");
  EXPECT_EQ(store->url, "https://s3.us-east-1.amazonaws.com/my-bucket/models/a%20b");
  EXPECT_EQ(store->bucket_url(), "https://s3.us-east-1.amazonaws.com/my-bucket");
  EXPECT_EQ(store->copy_source("w"), "/my-bucket/models/a%20b/w");
  EXPECT_TRUE(store->writable);
  EXPECT_EQ(store->sign_as, "");
  const auto bare = ObjectStore::open("s3://my-bucket");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->url, bare->bucket_url());
  EXPECT_EQ(bare->copy_source("w"), "/my-bucket/w");
}

TEST_F(Store, TakesItsPlaceAndCredentialsFromTheEnvironment) {
  environment.set("AWS_DEFAULT_REGION", "eu-west-1");
  environment.set("AWS_ENDPOINT_URL", "http://other:1/");
  environment.set("AWS_ACCESS_KEY_ID", "id");
  EXPECT_EQ(ObjectStore::open("s3://b/a").value().sign_as, "");  // A half of a key signs nothing.
  environment.set("AWS_SECRET_ACCESS_KEY", "secret");
  environment.set("AWS_SESSION_TOKEN", "session");
  auto store = ObjectStore::open("s3://b/a");
  ASSERT_TRUE(store);
  EXPECT_EQ(store->url, "http://other:1/b/a");
  EXPECT_EQ(store->sign_as, "id:secret");
  EXPECT_EQ(store->sign_for, "aws:amz:eu-west-1:s3");
  environment.set("AWS_REGION", "eu-central-1");
  environment.set("AWS_ENDPOINT_URL_S3", "http://s3:1");
  store = ObjectStore::open("s3://b/a");
  EXPECT_EQ(store->url, "http://s3:1/b/a");
  EXPECT_EQ(store->sign_for, "aws:amz:eu-central-1:s3");
  const auto request = store->request(Method::kGet, "a b", "digest");
  EXPECT_EQ(request.url, "http://s3:1/b/a/a%20b");
  EXPECT_EQ(request.what, "a b of s3://b/a");
  EXPECT_EQ(request.sign_as, "id:secret");
  EXPECT_FALSE(request.with_token);
  ASSERT_EQ(request.headers.size(), 2U);
  EXPECT_EQ(request.headers[0],
            (std::pair<std::string, std::string>("x-amz-content-sha256", "digest")));
  EXPECT_EQ(request.headers[1],
            (std::pair<std::string, std::string>("x-amz-security-token", "session")));
}

TEST_F(Store, OfTheWebIsReadAndUnsigned) {
  environment.set("AWS_ACCESS_KEY_ID", "id");
  environment.set("AWS_SECRET_ACCESS_KEY", "secret");
  const auto store = ObjectStore::open("https://h/a/");
  ASSERT_TRUE(store);
  EXPECT_EQ(store->url, "https://h/a");
  EXPECT_FALSE(store->writable);
  EXPECT_TRUE(store->request(Method::kGet, "w", "digest").headers.empty());
}

TEST_F(Store, AddressesThatAreNoFolderAreRefused) {
  for (const auto* bad : {"s3://", "s3:///a", "s3://b ucket/a", "s3://b/../a", "s3://b/a//c",
                          "https://", "https://user@h/a", "https://h/a?x=1", "https://h/a#b"}) {
    const auto refused = ObjectStore::open(bad);
    ASSERT_FALSE(refused) << bad;
    EXPECT_EQ(refused.error().rule, "HB-1") << bad;
  }
  EXPECT_EQ(ObjectStore::open("https://h/a?X-Amz-Signature=secret").error().message.find("secret"),
            std::string::npos);
}

}  // namespace
}  // namespace ferrule::hub
